"""The architectures of RobustBench and timm as the matrix runs them: random weights, and a small sibling of each."""

import contextlib
import functools
import hashlib
import inspect
import pkgutil
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import nn

from bench.models.source import LoadedModel, ModelRef, architecture, load
from bench.models.weights import save
from bench.models.zoo import robustbench
from bench.pruning.training import recalibrate

_DEPTH = {"CifarResNeXt": 11, "VisionTransformer": 1}
_AS_NAMED = frozenset({"DMPreActResNet"})
"""Classes that take one depth and one width alone."""
_LESS: dict[str, Callable[[Any], Any]] = {
    "widen_factor": lambda times: min(times, 2),
    "layers": lambda blocks: [1 for _ in blocks],
    "num_blocks": lambda blocks: [1 for _ in blocks],
    "depths": lambda blocks: type(blocks)(1 for _ in blocks),
    "depth_configs": lambda blocks: [1 for _ in blocks],
    "channel_configs": lambda widths: [max(16, width // 128 * 16) for width in widths],
    "stage_width": lambda widths: [width // 128 * 16 for width in widths],
}
"""What the small sibling gets in place of an argument of a constructor."""


def names() -> list[str]:
    """Return ``DATASET/THREAT/NAME`` of everything that RobustBench's zoo names."""
    return [
        f"{dataset.value}/{threat.value}/{name}"
        for dataset, threats in robustbench._zoo().items()
        for threat, models in threats.items()
        for name in models
    ]


@contextlib.contextmanager
def small(width: int = 2) -> Iterator[None]:
    """Build networks shallower and narrower than their constructors are told: the same code, a tenth of the time."""
    with contextlib.ExitStack() as stack:
        for kind in _kinds():
            stack.enter_context(mock.patch.object(kind, "__init__", _less(kind, width)))
        yield


def _kinds() -> list[type[nn.Module]]:
    """Return the classes of whole networks that can be told how large to be."""
    robustbench._zoo()
    import robustbench.model_zoo.architectures as package
    import timm.models as timm
    import torchvision

    modules = [sys.modules.get(f"{package.__name__}.{info.name}") for info in pkgutil.iter_modules(package.__path__)]
    found = [kind for module in modules if module is not None for kind in vars(module).values()]
    found += [torchvision.models.ResNet, timm.ConvNeXt, timm.VisionTransformer, timm.SwinTransformer]
    wholes = {
        kind
        for kind in found
        if inspect.isclass(kind)
        and issubclass(kind, nn.Module)
        and kind.__name__ not in _AS_NAMED
        and {"num_classes", "widen_factor"} & inspect.signature(kind.__init__).parameters.keys()
    }
    return sorted(wholes, key=lambda kind: f"{kind.__module__}.{kind.__qualname__}")


def _less(kind: type[nn.Module], width: int) -> Callable[..., None]:
    init = kind.__init__
    signature = inspect.signature(init)

    def depth(given: Any) -> Any:
        return [1 for _ in given] if isinstance(given, list) else min(given, _DEPTH.get(kind.__name__, 10))

    rules = _LESS | {"depth": depth, "width": lambda times: min(times, width)}

    @functools.wraps(init)
    def smaller(*args: Any, **kwargs: Any) -> None:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        for name in given.arguments.keys() & rules.keys():
            given.arguments[name] = rules[name](given.arguments[name])
        init(*given.args, **given.kwargs)

    return smaller


def small_as(name: str) -> contextlib.AbstractContextManager[None]:
    """Build ``DATASET/THREAT/NAME`` small; a head of a fixed width asks one network to keep its own."""
    return small(width=16 if name.endswith("Kang2021Stable") else 2)


def made(name: str) -> nn.Module:
    """Return the small sibling of ``DATASET/THREAT/NAME``, without weights that mean anything."""
    with small_as(name):
        return robustbench.blank(name).build()


def likeness(network: nn.Module) -> str:
    """Return what two networks of one architecture have in common: classes of modules, names and shapes of tensors."""
    kinds = [(path, type(module).__name__) for path, module in network.named_modules()]
    shapes = [(name, tuple(tensor.shape)) for name, tensor in network.state_dict().items()]
    return hashlib.sha256(repr([kinds, shapes]).encode()).hexdigest()


def randomise(network: nn.Module, images: torch.Tensor, seed: int = 0) -> nn.Module:
    """Fill a network with random weights under which activations neither vanish nor explode, and no weight is zero."""
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=source) / parameter[0].numel() ** 0.5)
            elif name.endswith("bias"):
                parameter.copy_(torch.randn(parameter.shape, generator=source) * 0.1)
            elif parameter.ndim == 1:
                parameter.copy_(torch.rand(parameter.shape, generator=source) * 0.5 + 0.5)
    network.eval().requires_grad_(requires_grad=False)
    recalibrate(network, images, len(images))
    return network


def from_robustbench(name: str, folder: Path, images: torch.Tensor) -> LoadedModel:
    """Return ``DATASET/THREAT/NAME`` as it comes back from a file of random weights that was placed for it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        blank = randomise(robustbench.blank(name).build(), images)
        save(folder / "robustbench" / f"{name}.safetensors", blank.state_dict())
        return load(ModelRef.parse(f"robustbench:{name}"))


def from_timm(name: str, folder: Path, images: torch.Tensor) -> LoadedModel:
    """Return a network of timm for ten classes and images of this size as it comes back from a file."""
    called = f"timm:{name}?num_classes=10&img_size={images.shape[-1]}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        blank = randomise(architecture(called).build(), images)
        save(folder / f"{name}.safetensors", blank.state_dict())
        return load(ModelRef.parse(str(folder / f"{name}.safetensors"), architecture=called))

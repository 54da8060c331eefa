"""The architectures of RobustBench and timm as the matrix runs them: random weights, and a small sibling of each."""

import contextlib
import functools
import hashlib
import inspect
import pkgutil
import sys
import warnings
from collections.abc import Callable, Collection, Iterator
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
    "width": lambda times: min(times, 2),
    "layers": lambda blocks: [1 for _ in blocks],
    "num_blocks": lambda blocks: 1 if isinstance(blocks, int) else [1 for _ in blocks],
    "block_config": lambda blocks: [2 for _ in blocks],
    "depths": lambda blocks: type(blocks)(1 for _ in blocks),
    "depth_configs": lambda blocks: [1 for _ in blocks],
    "channel_configs": lambda widths: [max(16, width // 128 * 16) for width in widths],
    "stage_width": lambda widths: [width // 128 * 16 for width in widths],
    "stage_widths": lambda widths: [width // 4 for width in widths],
    "group_widths": lambda widths: [width // 4 for width in widths],
    "dims": lambda dims: type(dims)(min(dim, 2 * dims[0]) for dim in dims),
}
"""What the small sibling gets in place of an argument of a constructor."""
_LESS_IN: dict[str, dict[str, Callable[[Any], Any]]] = {
    "SwinTransformer": {"embed_dim": lambda dim: dim // 4},
    "ResNet": {"width_per_group": lambda width: width // 4, "channels": lambda wide: [width // 2 for width in wide]},
    "WidePreActResNet": {"widen_factor": lambda _: 0},
    "DLA": {"channels": lambda channels: [channel // 2 for channel in channels]},
    "VGG": {"cfg": lambda cfg: [v if v == "M" else v // 8 for v in cfg], "mlp_ratio": lambda ratio: ratio / 8},
}
"""The like for arguments that mean something else elsewhere, by the name of the class."""
_ONE_WIDTH = {"BasicBlock": ("width_per_group",)}
"""Arguments that a block takes one value of, by the name of its class."""
_FIXED = {"imagenet/Linf/Amini2024MeanSparse_ConvNeXt-L": ("dims",), "cifar10/Linf/Kang2021Stable": ("width",)}
"""Arguments of networks whose other parts rely on them."""


def names() -> list[str]:
    """Return ``DATASET/THREAT/NAME`` of everything that RobustBench's zoo names."""
    return [
        f"{dataset.value}/{threat.value}/{name}"
        for dataset, threats in robustbench._zoo().items()
        for threat, models in threats.items()
        for name in models
    ]


@contextlib.contextmanager
def small(fixed: Collection[str] = ()) -> Iterator[None]:
    """Build networks shallower and narrower than their constructors are told: the same code, a tenth of the time.

    Arguments called as in ``fixed`` stay as they are told.
    """
    with contextlib.ExitStack() as stack:
        for kind in _kinds():
            stack.enter_context(mock.patch.object(kind, "__init__", _less(kind, fixed)))
        yield


def _kinds() -> list[type[nn.Module]]:
    """Return the classes of whole networks that can be told how large to be."""
    robustbench._zoo()
    import robustbench.model_zoo.architectures as package
    import timm.models as timm
    import torchvision

    modules = [sys.modules.get(f"{package.__name__}.{info.name}") for info in pkgutil.iter_modules(package.__path__)]
    found = [kind for module in modules if module is not None for kind in vars(module).values()]
    found += [torchvision.models.ResNet, timm.ConvNeXt, timm.VisionTransformer, timm.SwinTransformer, timm.VGG]
    found += [timm.ResNet, timm.SENet, timm.TResNet, timm.DenseNet, timm.DLA, timm.MlpMixer, timm.MetaFormer]
    wholes = {
        kind
        for kind in found
        if inspect.isclass(kind)
        and issubclass(kind, nn.Module)
        and kind.__name__ not in _AS_NAMED
        and {"num_classes", "widen_factor"} & inspect.signature(kind.__init__).parameters.keys()
    }
    return sorted(wholes, key=lambda kind: f"{kind.__module__}.{kind.__qualname__}")


def _less(kind: type[nn.Module], fixed: Collection[str]) -> Callable[..., None]:
    init = kind.__init__
    signature = inspect.signature(init)

    def depth(given: Any) -> Any:
        return [1 for _ in given] if isinstance(given, list) else min(given, _DEPTH.get(kind.__name__, 10))

    rules = _LESS | _LESS_IN.get(kind.__name__, {}) | {"depth": depth}

    @functools.wraps(init)
    def smaller(*args: Any, **kwargs: Any) -> None:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        stay = {*fixed, *_ONE_WIDTH.get(getattr(given.arguments.get("block"), "__name__", ""), ())}
        for name in given.arguments.keys() & rules.keys() - stay:
            given.arguments[name] = rules[name](given.arguments[name])
        init(*given.args, **given.kwargs)

    return smaller


def small_as(name: str) -> contextlib.AbstractContextManager[None]:
    """Build ``DATASET/THREAT/NAME`` small."""
    return small(fixed=_FIXED.get(name, ()))


def made(name: str) -> nn.Module:
    """Return the small sibling of ``DATASET/THREAT/NAME``, without weights that mean anything."""
    with small_as(name):
        return robustbench.blank(name).build()


def likeness(network: nn.Module) -> str:
    """Return what two networks of one architecture have in common: its skeleton, and the shapes of tensors."""
    shapes = [tuple(tensor.shape) for tensor in network.state_dict().values()]
    return hashlib.sha256(repr([skeleton(network), shapes]).encode()).hexdigest()


def skeleton(network: nn.Module) -> str:
    """Return what networks have in common that differ in widths and classes: classes of modules, names of tensors."""
    kinds = [(path, type(module).__name__) for path, module in network.named_modules()]
    return hashlib.sha256(repr([kinds, list(network.state_dict())]).encode()).hexdigest()


def randomise(
    network: nn.Module, images: torch.Tensor, seed: int = 0, gain: float = 1.0, threshold: float = 0.1
) -> nn.Module:
    """Fill a network with random weights under which activations neither vanish nor explode, and no weight is zero.

    Random layers in great number are chaotic: they blow rounding up to the size of the logits, as trained ones do not.
    ``gain`` below 1 weakens what norms pass on, ``threshold`` is how far from the mean MeanSparse keeps a value, in
    deviations; both calm them.
    """
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=source) / parameter[0].numel() ** 0.5)
            elif name.endswith("bias"):
                parameter.copy_(torch.randn(parameter.shape, generator=source) * 0.1)
            elif parameter.ndim == 1:
                parameter.copy_((torch.rand(parameter.shape, generator=source) * 0.5 + 0.5) * gain)
        for module in network.modules():
            if {"running_var", "threshold"} <= dict(module.named_buffers(recurse=False)).keys():
                module.running_var.fill_(1.0)  # what lies nearer to the mean than this share of a deviation becomes it
                module.threshold.fill_(threshold)
    network.eval().requires_grad_(requires_grad=False)
    recalibrate(network, images, len(images))
    return network


def name_classes(network: nn.Module, images: torch.Tensor, labels: list[int]) -> None:
    """Put the rows of the last layer into an order in which the network tells at least the first image rightly."""
    ran: list[nn.Module] = []
    hooks = [
        module.register_forward_hook(lambda module, *_: ran.append(module))
        for module in network.modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
    ]
    with torch.no_grad():
        logits = network(images)
    for hook in hooks:
        hook.remove()
    told, classes = logits.argmax(dim=1).tolist(), logits.shape[1]
    rows: dict[int, int] = {}
    for row, label in zip(told, labels, strict=True):
        if label not in rows and row not in rows.values():
            rows[label] = row
    left = (row for row in range(classes) if row not in rows.values())
    order = [rows[label] if label in rows else next(left) for label in range(classes)]
    with torch.no_grad():
        for tensor in ran[-1].parameters(recurse=False):
            tensor.copy_(tensor[order])


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

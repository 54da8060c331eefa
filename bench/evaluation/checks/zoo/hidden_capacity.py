"""Hidden capacity: everything that computes is counted."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import doubt
from bench.pruning.masks import evaluating
from bench.submission.schema import Flag, Level
from bench.tensors import Images, Operations

_NORMALISATION = ("mean", "std", "mu", "sigma", "running_mean", "running_var", "num_batches_tracked")
SMALL = 16
"""Numbers that a constant of normalisation may hold; nothing is hidden in so few."""


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Look for masks kept beside weights, tensors that the parent lacks or that are not registered, and hooks."""
    del thresholds
    found = [*_masks(evidence.network), *_unregistered(evidence.network), *_hooks(evidence.network)]
    found += [] if found else _foreign(evidence.network, evidence.images[:1])
    if evidence.parent is not None:
        found += _strangers(evidence.network, evidence.parent)
    if not found:
        return []
    says = f"The network computes with more than its counted weights: {'; '.join(found[:3])}. Fold all of it in."
    return [doubt("hidden-capacity", Level.WITHHOLD, float(len(found)), 0.0, says)]


def _masks(network: nn.Module) -> Iterator[str]:
    """Find buffers shaped like a weight of their module: a mask, or the weight that it hides."""
    for path, module in network.named_modules():
        shapes = {tuple(parameter.shape) for parameter in module.parameters(recurse=False) if parameter.ndim > 1}
        for name, buffer in module.named_buffers(recurse=False):
            if tuple(buffer.shape) in shapes:
                yield f"buffer {_join(path, name)!r} has the shape of a weight beside it"


def _unregistered(network: nn.Module) -> Iterator[str]:
    for path, module in network.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, Tensor) and value.numel() > SMALL:
                yield f"tensor {_join(path, name)!r} is no parameter and no buffer"


class _Watch(Operations):
    """Notes every tensor of many numbers that a computation takes from elsewhere than what it is given or made."""

    def __init__(self, known: list[Tensor]) -> None:
        """Know these tensors, and views of them."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.known, self.found = {_place(tensor) for tensor in known}, dict[int, tuple[int, ...]]()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation; look at what goes in, and know what comes out."""
        del types
        for taken in _tensors((args, kwargs)):
            if taken.is_floating_point() and taken.numel() > SMALL and _place(taken) not in self.known:
                self.found[_place(taken)] = tuple(taken.shape)
        made = func(*args, **(kwargs or {}))
        self.known |= {_place(tensor) for tensor in _tensors(made)}
        return made


def _foreign(network: nn.Module, images: Images) -> Iterator[str]:
    """Find what a forward pass computes with and no module holds: weights in a list, a closure, the code itself."""
    watch = _Watch([images, *network.parameters(), *network.buffers()])
    with torch.no_grad(), evaluating(network), watch:
        network(images)
    for shape in watch.found.values():
        yield f"a tensor of shape {shape} that no module holds is computed with"


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _place(tensor: Tensor) -> int:
    """Return where the numbers of a tensor lie, the same for all of its views."""
    return tensor.untyped_storage().data_ptr()


def _hooks(network: nn.Module) -> Iterator[str]:
    for path, module in network.named_modules():
        if module._forward_hooks or module._forward_pre_hooks:  # noqa: SLF001 - torch offers no other way to see them
            yield f"module {path or 'network'!r} carries hooks"
        if "forward" in vars(module):
            yield f"the forward pass of {path or 'network'!r} was replaced"


def _strangers(network: nn.Module, parent: nn.Module) -> Iterator[str]:
    known = {**dict(parent.named_parameters()), **dict(parent.named_buffers())}
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        if name.rpartition(".")[2] in _NORMALISATION and torch.numel(tensor) <= _largest(parent):
            continue
        if name not in known:
            yield f"tensor {name!r} of {tensor.numel():,} numbers is unknown to the parent"
        elif tensor.numel() > known[name].numel():
            yield f"tensor {name!r} holds {tensor.numel():,} numbers, the parent's {known[name].numel():,}"


def _largest(parent: nn.Module) -> int:
    """Return the size of the parent's largest buffer; normalisation that is larger is none."""
    return max((buffer.numel() for buffer in parent.buffers()), default=0)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


CHECKS.register("hidden-capacity")(
    Check(
        name="hidden-capacity",
        stage=Stage.PRUNING,
        examine=examine,
        thresholds={},
        catches="dense networks behind a mask, extra tensors, hooks that compute",
        source="this benchmark; pruning by masks is how arXiv:2108.08560 and torch.nn.utils.prune work",
    )
)

"""Hidden capacity: everything that computes is counted."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import doubt
from bench.submission.schema import Flag, Level

_NORMALISATION = ("mean", "std", "mu", "sigma", "running_mean", "running_var", "num_batches_tracked")
SMALL = 16
"""Numbers that a constant of normalisation may hold; nothing is hidden in so few."""


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Look for masks kept beside weights, tensors that the parent lacks or that are not registered, and hooks."""
    del thresholds
    found = [*_masks(evidence.network), *_unregistered(evidence.network), *_hooks(evidence.network)]
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

"""Replaces steps of a network by slopes in the backward pass, and leaves the forward pass as it is."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from bench.tensors import Images, Logits

_ROUNDING = frozenset({
    torch.round, torch.floor, torch.ceil, torch.trunc, torch.fix,
    Tensor.round, Tensor.floor, Tensor.ceil, Tensor.trunc, Tensor.fix,
})  # fmt: skip
_SIGNS = frozenset({torch.sign, torch.sgn, Tensor.sign, Tensor.sgn})
_ABOVE = frozenset({torch.gt, torch.ge, Tensor.gt, Tensor.ge, Tensor.__gt__, Tensor.__ge__})
_BELOW = frozenset({torch.lt, torch.le, Tensor.lt, Tensor.le, Tensor.__lt__, Tensor.__le__})
_CHOICES = frozenset({torch.where, Tensor.where})
_WIDTH = 0.1
"""How wide, in units of what is compared, the slope of a threshold is."""


class StraightThrough:
    """A network with the same outputs, whose thresholds and roundings let gradients pass.

    Rounding counts as the identity; a sign and a comparison count as a sigmoid around the place of the step.

    Source: Athalye et al. 2018, arXiv:1802.00420, backward pass differentiable approximation.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network

    def __call__(self, images: Images, /) -> Logits:
        """Return the network's own logits, with a gradient."""
        with _Slopes():
            return self._network(images)


class _Slopes(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        del types
        given = dict(kwargs or {})
        if (
            not args
            or not isinstance(args[0], Tensor)
            or not args[0].is_floating_point()
            or not torch.is_grad_enabled()
        ):
            return func(*args, **given)
        subject = args[0]
        if func in _CHOICES and len(args) == 3 and subject.requires_grad:
            return subject * args[1] + (1 - subject) * args[2]
        if func in _ROUNDING:
            return _with_slope(func(*args, **given), subject)
        if func in _SIGNS:
            return _with_slope(func(*args, **given), 2 * torch.sigmoid(subject / _WIDTH))
        if (func in _ABOVE or func in _BELOW) and len(args) > 1:
            distance = subject - args[1] if func in _ABOVE else args[1] - subject
            step = func(*args, **given).to(subject.dtype)
            return _with_slope(step, torch.sigmoid(distance / _WIDTH))
        return func(*args, **given)


def _with_slope(value: Tensor, slope: Tensor) -> Tensor:
    """Return a value with the gradient of another expression."""
    return value.detach() + (slope - slope.detach())

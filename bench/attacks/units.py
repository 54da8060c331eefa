"""The unit in which attacks see logits: a network's own, unless that is so far from usual that float32 fails them.

A verdict does not change when all logits are multiplied by one number, and no attack's strength should. Yet the
cross-entropy saturates where logits are large and loses its last bits where they are tiny, and gradients underflow. So
a point whose clean logits lie outside the usual range is attacked through a view of the network in which its leading
class is ahead by 1/2 to 8. Units are powers of two, so what neither overflows nor vanishes is exact; usual networks are
seen as they are.
"""

from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from bench.tensors import Classifier, Images, Logits

USUAL = 7
"""Leads from 2**-7 to 2**7 are usual: those of 11,000 points on 28 networks, natural, robust and pruned, all are."""

_STEP = 4
"""Units are powers of 2**4, so that points of one network hardly ever have more than two and batches stay full."""

_AHEAD = 3
"""The lead is over the third class: that over the second vanishes on a boundary, and farther ones may be masked out."""


def lead(logits: Logits) -> Tensor:
    """Return how far the largest logit of each row is ahead of the third, of two classes of the second; float64."""
    largest = logits.double().topk(min(_AHEAD, logits.shape[1]), dim=1).values
    return largest[:, 0] - largest[:, -1]


def exponents(logits: Logits) -> Int[Tensor, " batch"]:
    """Return for each point the power of two that is the unit of its logits; 0 where they are usual, or all the same.

    Args:
        logits: of the clean images, so that a point's unit hangs on that point alone.
    """
    ahead = lead(logits)
    found = torch.frexp(ahead).exponent.long() // _STEP * _STEP  # ahead is 1/2 to 8 times 2 to this
    usual = (ahead >= 2.0**-USUAL) & (ahead <= 2.0**USUAL)
    return torch.where(usual | (ahead == 0) | ~ahead.isfinite(), 0, found)


def scaled(logits: Logits, exponent: int) -> Logits:
    """Return the logits over 2 to the exponent, exactly: in two steps, for one alone may leave float32."""
    near, far = _halves(exponent)
    return logits * near * far


def in_units(model: Classifier, exponent: int | Int[Tensor, " batch"]) -> Classifier:
    """Return a view of a network that divides logits, and with them every gradient, by 2 to the exponent, exactly.

    Half of the exponent is taken off a gradient before it enters the network and half after it has left, so that
    neither a shrunken first layer nor a shrunken last one makes it overflow or vanish on the way.

    Args:
        model: maps images in [0, 1] to logits.
        exponent: one for all images, or one for each image of the only batch that is asked for.
    """
    if isinstance(exponent, int) and exponent == 0:
        return model
    near, far = _halves(exponent)

    def view(images: Images, /) -> Logits:
        seen: Logits = _Scaled.apply(model(_Scaled.apply(images, (), far)), (near, far), near)
        return seen

    return view


def _halves(exponent: int | Tensor) -> tuple[float | Tensor, float | Tensor]:
    """Return two powers of two that together take the exponent off."""
    if isinstance(exponent, int):
        return 2.0 ** -(exponent // 2), 2.0 ** (exponent // 2 - exponent)
    one, half = torch.ones(len(exponent), device=exponent.device), exponent // 2
    return torch.ldexp(one, -half), torch.ldexp(one, half - exponent)


class _Scaled(torch.autograd.Function):
    """Multiplies by some factors on the way forward and by another on the way back."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, onward: tuple[float | Tensor, ...], back: float | Tensor) -> Tensor:
        """Multiply by each factor in turn."""
        ctx.back = back
        values = values.clone()  # some networks work in place
        for factor in onward:
            values *= _by_row(factor, values)
        return values

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        """Multiply by the factor of the way back."""
        return upstream * _by_row(ctx.back, upstream), None, None


def _by_row(factor: float | Tensor, values: Tensor) -> float | Tensor:
    return factor if isinstance(factor, float) else factor.view(-1, *[1] * (values.ndim - 1))

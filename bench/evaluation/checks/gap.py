"""How far apart logits are, which is what their changes are measured against: no unit and no offset changes that."""

import math

import torch
from torch import Tensor

from bench.tensors import Logits


def gap(logits: Logits) -> float:
    """Return the median, over images, of the gap between the first two classes."""
    first = logits.double().topk(2, dim=1).values
    return float((first[:, 0] - first[:, 1]).median())


def rounding(logits: Logits) -> float:
    """Return the spacing of float32 at the median, over images, of the largest logit, in gaps."""
    largest = logits.abs().amax(dim=1).median()
    beyond = torch.nextafter(largest, torch.full_like(largest, torch.inf))
    return _over(float(beyond.double() - largest.double()) if largest else 0.0, gap(logits))


def change(before: Logits, after: Logits, clean: Tensor) -> float:
    """Return the most that a logit moves against the others of its image, in gaps of the clean images' logits."""
    moved = after.double() - before.double()
    return _over(float((moved - moved.mean(dim=1, keepdim=True)).abs().amax()), gap(clean))


def allowed(tolerance: float, clean: Logits) -> float:
    """Return a tolerance of a change, in gaps, and what float32 alone turns: an offset of all logits rounds them."""
    return tolerance + 2 * rounding(clean)


def _over(most: float, unit: float) -> float:
    if most == 0:
        return 0.0
    return most / unit if unit else math.inf

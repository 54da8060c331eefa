"""Whether the weights that a pruned network kept are still those of the dense network that is called its parent."""

from math import sqrt
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bench.pruning.masks import prunable
from bench.tensors import Images

_STRANGE = 0.05
"""Correlation that networks trained apart stay below and fine-tuned ones never reach from above: 0.02 at most and 0.97
at least among the embedded networks, pruned by 80 % and fine-tuned for 20 epochs."""
_ERRORS = 3.0
"""Standard errors of chance that kin must exceed where few weights are left."""
_LEAST = 36
"""Weights below which chance alone reaches one half, so that nothing can be said."""


class Kinship(NamedTuple):
    """How much of a parent is left in a network."""

    correlation: float
    """Of the weights that were kept with those at the same places of the parent."""
    bar: float
    """Kin lie above it."""

    @property
    def strangers(self) -> bool:
        """The two were trained apart."""
        return self.correlation < self.bar


def kinship(parent: nn.Module, network: nn.Module, example: Images) -> Kinship | None:
    """Return how the weights that a network kept correlate with those at the same places of its parent.

    Means over rows and columns are taken out of each layer first, since all networks of one task share them; layers
    count by the weights that they kept. Where channels of a layer are gone, places no longer agree, and it is left out.
    None where that says nothing: no layer is whole, or hardly a weight is left.
    """
    own = dict(network.named_parameters())
    total, weights = 0.0, 0
    for name, before in prunable(parent, example).items():
        after = own[name].detach()
        if after.shape != before.shape:
            continue
        kept = (after != 0).flatten(1)
        first, second = (_centred(tensor.flatten(1).double(), kept) for tensor in (before, after))
        size = float(first.norm() * second.norm())
        if size > 0:
            total += float((first * second).sum()) / size * int(kept.sum())
            weights += int(kept.sum())
    return Kinship(total / weights, max(_STRANGE, _ERRORS / sqrt(weights))) if weights >= _LEAST else None


def _centred(values: Tensor, kept: Tensor) -> Tensor:
    """Take the means of kept values out of columns, then out of rows; what was not kept becomes zero."""
    for dimension in (0, 1):
        values = values * kept
        mean = values.sum(dimension, keepdim=True) / kept.sum(dimension, keepdim=True).clamp_min(1)
        values = torch.where(kept, values - mean, 0.0)
    return values

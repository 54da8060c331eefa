"""What has to go with each channel that is removed.

An *inner* group is cut at one producer: one convolution or linear layer loses rows, batch norm and depthwise
convolutions behind it lose the same channels, and its consumers lose columns. Nothing on the residual stream is
touched, no free parameter, no attention head.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

Place: TypeAlias = tuple[str, int]
"""A tensor by its name in the state, and one of its dimensions."""


@dataclass(frozen=True, slots=True)
class Group:
    """One producer with everything that is cut together with its output.

    Attributes:
        producer: module whose output channels are counted.
        size: number of channels.
        owners: per place, the channel that each index belongs to; −1 where it belongs to another group.
    """

    producer: str
    size: int
    owners: Mapping[Place, Tensor]

    @property
    def consumed(self) -> Iterator[tuple[str, Tensor]]:
        """The weights that read the channels, with the owner of each column."""
        return ((name, owner) for (name, dimension), owner in self.owners.items() if dimension == 1)


def channel_sums(groups: Sequence[Group], values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return per group and channel the sum of the values that go with it; tensors without values count nothing."""
    sums = {}
    for group in groups:
        total = torch.zeros(group.size + 1, dtype=torch.float64)
        for (name, dimension), owner in group.owners.items():
            if name in values:
                lines = (
                    values[name]
                    .double()
                    .cpu()
                    .movedim(dimension, 0)
                    .reshape(values[name].shape[dimension], -1)
                    .sum(dim=1)
                )
                total.index_add_(0, owner % (group.size + 1), lines)
        sums[group.producer] = total[: group.size]
    return sums

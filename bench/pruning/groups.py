"""What has to go with each channel that is removed.

An *inner* group is cut at one producer: one convolution or linear layer loses rows, batch norm and depthwise
convolutions behind it lose the same channels, and its consumers lose columns. Nothing on the residual stream is
touched, no free parameter, no attention head.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

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


def numbered(module: nn.Module) -> int:
    """Return how many channels a layer keeps buffered numbers of, one each, and nothing else; 0 for all other layers.

    Such as MeanSparse (Amini et al. 2024, arXiv:2406.05927), which sets what is near to a channel's mean to this mean.
    """
    if any(parameter.numel() > 1 for parameter in module.parameters(recurse=False)):
        return 0
    shapes = {tuple(buffer.shape) for buffer in module.buffers(recurse=False) if buffer.ndim}
    (shape,) = shapes if len(shapes) == 1 else ((),)
    return shape[0] if len(shape) == 1 else 0

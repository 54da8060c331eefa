"""How large the inputs of each weight are, over the calibration images."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.pruning.cost import plain_attention
from bench.pruning.masks import evaluating
from bench.pruning.products import Products, Window
from bench.tensors import Images, portion

BATCH = 128


class _Squares(Products):
    """Adds up the squares of everything that is multiplied with a weight."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__(weights)
        self.total = {name: torch.zeros_like(weight, dtype=torch.float64) for name, weight in weights.items()}

    def convolved(self, name: str, images: Tensor, groups: int, window: Window) -> None:
        """Sum over images first: squares add up, so one map of patches serves for the whole batch."""
        shape = self.shapes[name]
        squares = images.double().square().sum(dim=0, keepdim=True)
        patches = functional.unfold(squares, shape[2:], window.dilation, window.padding, window.stride).sum(dim=(0, 2))
        rows = patches.view(groups, *shape[1:])
        self.total[name] += rows.repeat_interleave(shape[0] // groups, dim=0)

    def multiplied(self, name: str, rows: slice, inputs: Tensor) -> None:
        """Sum over lines."""
        self.total[name][rows] += inputs.double().square().sum(dim=0)


def input_norms(network: nn.Module, weights: Mapping[str, Tensor], images: Images) -> dict[str, Tensor]:
    """Return for every weight the Euclidean norm of the inputs it multiplies, over all images and positions.

    Raises:
        ContractError: if a weight is multiplied by an operation that is not known here.
    """
    squares = _Squares(weights)
    with evaluating(network), torch.no_grad(), plain_attention(), squares:
        for batch in images.split(portion(images, BATCH)):
            network(batch)
    squares.hold_complete()
    return {name: total.sqrt() for name, total in squares.total.items()}

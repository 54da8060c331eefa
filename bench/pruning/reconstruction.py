"""Prunes layer by layer and lets the weights that stay make up for those that go, on the inputs of the layer."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.errors import ContractError
from bench.pruning.cost import plain_attention
from bench.pruning.masks import evaluating, keep_largest
from bench.pruning.products import Products, Window
from bench.pruning.recipe import Reconstructed
from bench.tensors import Images

COLUMNS = 128
"""Columns whose mask is chosen together, and the share that damps the second moments; both from the source."""
DAMPING = 0.01
CHUNK = 16
"""Images unfolded at once: patches take many times the memory of their images."""


def reconstruct(
    network: nn.Module, weights: Mapping[str, Tensor], quota: Mapping[str, int], images: Images
) -> Reconstructed:
    """Prune every layer to its quota as its inputs arrive, so that each is solved on what the pruned ones before give.

    All images pass at once, in a single forward pass.

    Source: Frantar & Alistarh 2023, arXiv:2301.00774, algorithm 1.
    Differs from the source: convolutions are solved on their unfolded inputs, one problem per group; the count of every
    layer is exact; weights whose input is zero in every image go first and are left as they are if they stay.
    """
    twin = copy.deepcopy(network)
    solver = _Solver({name: twin.get_parameter(name).detach() for name in weights}, quota)
    with evaluating(twin), torch.no_grad(), plain_attention(), solver:
        twin(images)
    solver.hold_complete()
    return Reconstructed(solver.masks, solver.weights)


class _Solver(Products):
    """Solves a layer when its input is at hand, just before the layer computes with what is left."""

    def __init__(self, weights: Mapping[str, Tensor], quota: Mapping[str, int]) -> None:
        super().__init__(weights)
        self.weights = dict(weights)
        self.masks = {name: torch.ones(weight.shape, dtype=torch.bool) for name, weight in weights.items()}
        self._quota = quota
        self._done = {name: torch.zeros(len(weight), dtype=torch.bool) for name, weight in weights.items()}

    def convolved(self, name: str, images: Tensor, groups: int, window: Window) -> None:
        """Collect second moments of patches, per group."""
        kernel = self.shapes[name][2:]
        moments = None
        for chunk in images.split(CHUNK):
            patches = functional.unfold(chunk, kernel, window.dilation, window.padding, window.stride)
            lines = patches.view(len(chunk), groups, -1, patches.shape[-1]).permute(1, 2, 0, 3).flatten(2)
            product = (lines @ lines.transpose(1, 2)).double()
            moments = product if moments is None else moments + product
        if moments is None:
            raise ContractError(f"no image reaches {name!r}.")
        self._solve(name, slice(0, self.shapes[name][0]), moments)

    def multiplied(self, name: str, rows: slice, inputs: Tensor) -> None:
        """Collect second moments of lines."""
        self._solve(name, rows, (inputs.T @ inputs).double().unsqueeze(0))

    def _solve(self, name: str, rows: slice, moments: Tensor) -> None:
        if self._done[name][rows].any():
            return  # a weight that is used twice was solved on the inputs of its first use
        self._done[name][rows] = True
        whole, count = self.weights[name], len(self.weights[name])
        part = whole[rows].reshape(len(moments), -1, moments.shape[-1])
        keep = _up_to(self._quota[name], rows.stop, count) - _up_to(self._quota[name], rows.start, count)
        solved, mask = solve(part.double().clone(), moments, keep, name)
        whole[rows] = solved.to(whole.dtype).view_as(whole[rows])
        self.masks[name][rows] = mask.view_as(self.masks[name][rows])


def solve(weight: Tensor, moments: Tensor, keep: int, name: str) -> tuple[Tensor, Tensor]:
    """Return the weights that are left, moved so that the outputs change least, and where they are.

    Args:
        weight: groups × rows × columns, in double precision.
        moments: groups × columns × columns, sums of products of inputs.
        keep: weights that stay, all groups together.
        name: of the layer, for messages.
    """
    weight, columns = weight.clone(), weight.shape[-1]
    root, dead = _inverse_root(moments)
    mask = torch.zeros(weight.shape, dtype=torch.bool)
    for first in range(0, columns, COLUMNS):
        last = min(first + COLUMNS, columns)
        block = slice(first, last)
        pivots = root[:, block, block].diagonal(dim1=1, dim2=2)
        scores = (weight[:, :, block] / pivots.unsqueeze(1)).square()
        scores = torch.where(dead[:, block].unsqueeze(1), scores * torch.finfo(scores.dtype).eps ** 4, scores)
        wanted = _up_to(keep, last, columns) - _up_to(keep, first, columns)
        chosen = keep_largest({name: weight[:, :, block]}, {name: scores}, wanted)[name]
        mask[:, :, block] = chosen
        errors = torch.zeros_like(scores)
        for column in range(first, last):
            gone = ~chosen[:, :, column - first].to(weight.device)
            errors[:, :, column - first] = torch.where(gone, weight[:, :, column], 0.0) / root[:, column, column, None]
            weight[:, :, column] = weight[:, :, column].masked_fill(gone, 0.0)
            weight[:, :, column + 1 : last] -= (
                errors[:, :, column - first, None] * root[:, column, None, column + 1 : last]
            )
        weight[:, :, last:] -= errors @ root[:, block, last:]
    return weight, mask


def _inverse_root(moments: Tensor) -> tuple[Tensor, Tensor]:
    """Return the upper Cholesky factor of the inverse of the damped moments, and which columns never have an input."""
    diagonal = moments.diagonal(dim1=1, dim2=2)
    dead = diagonal == 0
    damping = DAMPING * diagonal.mean(dim=1, keepdim=True)
    damped = moments + torch.diag_embed(torch.where(dead, 1.0, damping.expand_as(diagonal)))
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    return torch.linalg.cholesky(inverse, upper=True), dead


def _up_to(keep: int, end: int, total: int) -> int:
    """Return how much of a quota the first ``end`` of ``total`` equal parts get; all parts together get all of it."""
    return (2 * keep * end + total) // (2 * total)

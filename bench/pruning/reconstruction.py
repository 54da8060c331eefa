"""Prunes layer by layer and lets the weights that stay make up for those that go, on the inputs of the layer."""

import copy
from collections.abc import Mapping, Sequence

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
    copied = copy.deepcopy(network)
    solver = _Solver({name: copied.get_parameter(name).detach() for name in weights}, quota)
    with evaluating(copied), torch.no_grad(), plain_attention(), solver:
        copied(images)
    solver.hold_complete()
    return Reconstructed(solver.masks, solver.weights)


class _Solver(Products):
    """Solves a layer when its input is at hand, just before the layer computes with what is left."""

    def __init__(self, weights: Mapping[str, Tensor], quota: Mapping[str, int]) -> None:
        super().__init__(weights)
        self.weights = dict(weights)
        self.masks = {name: torch.ones(weight.shape, dtype=torch.bool) for name, weight in weights.items()}
        self._quota = quota
        self._nonzero = {name: _cumulated((weight != 0).flatten(1).sum(dim=1)) for name, weight in weights.items()}
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
        whole = self.weights[name]
        part = whole[rows].reshape(len(moments), -1, moments.shape[-1])
        keep = _part(self._quota[name], self._nonzero[name], rows)
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
    nonzero = _cumulated((weight != 0).sum(dim=(0, 1)))
    mask = torch.zeros(weight.shape, dtype=torch.bool)
    for first in range(0, columns, COLUMNS):
        last = min(first + COLUMNS, columns)
        block = slice(first, last)
        pivots = root[:, block, block].diagonal(dim1=1, dim2=2)
        scores = (weight[:, :, block] / pivots.unsqueeze(1)).square()
        scores = torch.where(dead[:, block].unsqueeze(1), scores * torch.finfo(scores.dtype).eps ** 4, scores)
        chosen = keep_largest({name: weight[:, :, block]}, {name: scores}, _part(keep, nonzero, block))[name]
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


def _cumulated(counts: Tensor) -> list[int]:
    return [0, *counts.cumsum(dim=0).tolist()]


def _part(quota: int, nonzero: Sequence[int], part: slice) -> int:
    """Return what a part gets of a quota, in proportion to the non-zero weights in it; all parts get all of it."""
    total = max(nonzero[-1], 1)
    before, after = ((2 * quota * nonzero[end] + total) // (2 * total) for end in (part.start, part.stop))
    return after - before

"""Two of four: in every block of four weights along the input channels at most two are kept.

Blocks are four consecutive input channels of one output row at one position of the kernel, the layout that sparse
tensor cores read. A layer takes part if it has a multiple of 8 rows and a multiple of 16 input channels (per group);
others stay dense.

Source: Mishra et al. 2021, arXiv:2104.08378.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from bench.errors import InfeasibleError

BLOCK, KEPT = 4, 2


def eligible(weight: Tensor) -> bool:
    """Tell whether a layer can be two-of-four sparse."""
    return weight.shape[0] % 8 == 0 and weight.shape[1] % 16 == 0


def blocks(weight: Tensor) -> Tensor:
    """Return the blocks of a weight as rows of four."""
    return weight.flatten(2).transpose(1, 2).reshape(-1, BLOCK) if weight.ndim > 2 else weight.reshape(-1, BLOCK)


def two_of_four(weights: Mapping[str, Tensor], scores: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Keep the two largest scores of every block; ties keep the earlier weight.

    Raises:
        InfeasibleError: if no layer is eligible.
    """
    chosen = {name: weight for name, weight in weights.items() if eligible(weight)}
    if not chosen:
        raise InfeasibleError(
            "no layer is eligible for 2of4 (a multiple of 8 rows and of 16 input channels); choose another recipe."
        )
    return {name: _keep(scores[name].detach().cpu(), weight) for name, weight in chosen.items()}


def violations(weight: Tensor) -> int:
    """Return how many blocks of a layer hold more than two non-zero weights."""
    return int(((blocks(weight.detach()) != 0).sum(dim=1) > KEPT).sum())


def _keep(score: Tensor, weight: Tensor) -> Tensor:
    order = blocks(score).argsort(dim=1, descending=True, stable=True)
    kept = torch.zeros(order.shape, dtype=torch.bool).scatter_(1, order[:, :KEPT], value=True)
    if weight.ndim == 2:
        return kept.view(weight.shape)
    rows, channels = weight.shape[:2]
    return kept.view(rows, -1, channels).transpose(1, 2).reshape(weight.shape)

"""How many weights each layer keeps, so that the counts sum to the target exactly.

Seats are dealt one by one by Webster's divisor method with a first seat for everybody: the next weight goes to the
layer with the largest share / (2 · kept + 1) that is not full. One more weight in total never takes one from any
layer, so masks nest as sparsity grows; rounding by largest remainders would not promise that.
"""

import heapq
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
from torch import Tensor

from bench.errors import InfeasibleError


def apportion(shares: Sequence[int | Fraction], sizes: Sequence[int], keep: int) -> list[int]:
    """Deal ``keep`` weights to layers in proportion to their shares, at least one and at most its size to each.

    ``sizes`` counts what can be kept, the non-zero weights; a layer without any gets none.

    Raises:
        InfeasibleError: if there are fewer weights to keep than layers, or more than there are.
    """
    if keep > sum(sizes):
        raise InfeasibleError(
            f"{keep} weights should stay and only {sum(sizes)} are non-zero in the parent; "
            "it is sparser than the target already, so ask for a higher sparsity."
        )
    if keep < sum(size > 0 for size in sizes):
        raise InfeasibleError(
            f"Keeping {keep} weights cannot leave one in each of {len(sizes)} layers or rows; ask for a lower sparsity."
        )
    kept = _below(shares, sizes, keep)
    waiting = [
        (-Fraction(share) / (2 * count + 1), index)
        for index, (share, count) in enumerate(zip(shares, kept, strict=True))
        if count < sizes[index]
    ]
    heapq.heapify(waiting)
    for _ in range(keep - sum(kept)):
        _, index = heapq.heappop(waiting)
        kept[index] += 1
        if kept[index] < sizes[index]:
            heapq.heappush(waiting, (-Fraction(shares[index]) / (2 * kept[index] + 1), index))
    return kept


def _below(shares: Sequence[int | Fraction], sizes: Sequence[int], keep: int) -> list[int]:
    """Return an allocation on the way to ``keep``, found by bisection on the multiplier of the shares."""
    share = np.array([float(part) for part in shares])
    size = np.array(sizes)
    low, high = 0.0, float((size / share).max()) + 1.0
    for _ in range(100):
        middle = (low + high) / 2
        total = int(np.clip(np.floor(share * middle + 0.5), 1, size).sum())
        low, high = (middle, high) if total <= keep else (low, middle)
    earlier = low * (1 - 1e-9)  # floating point must not decide a tie
    found: list[int] = np.clip(np.floor(share * earlier + 0.5), 1, size).astype(int).tolist()
    return found


def uniform_quota(weights: Mapping[str, Tensor], keep: int) -> dict[str, int]:
    """Return how many weights each layer keeps when all layers have the same sparsity.

    Layers that are sparser already keep what they have, and the others make up for it.
    """
    shares = [weight.numel() for weight in weights.values()]
    return dict(zip(weights, apportion(shares, _nonzero(weights), keep), strict=True))


def erk_quota(weights: Mapping[str, Tensor], keep: int) -> dict[str, int]:
    """Return how many weights each layer keeps under Erdős–Rényi–Kernel densities.

    The density of a layer is proportional to (sum of its dimensions) / (product of its dimensions), so its share of
    the weights is the sum of its dimensions; layers that would exceed density 1 stay dense.

    Source: Evci et al. 2020, arXiv:1911.11134, appendix; Mocanu et al. 2018, arXiv:1707.04780.
    """
    shares = [sum(weight.shape) for weight in weights.values()]
    return dict(zip(weights, apportion(shares, _nonzero(weights), keep), strict=True))


def _nonzero(weights: Mapping[str, Tensor]) -> list[int]:
    return [int((weight != 0).sum()) for weight in weights.values()]

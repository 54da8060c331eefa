"""From counts to what a reader sees: exact rates and their intervals."""

import math
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from bench.submission.rules import SIGNIFICANCE, quantile

_Z = quantile(SIGNIFICANCE)


class Interval(NamedTuple):
    """A 95 % interval."""

    low: float
    high: float


@lru_cache(16_384)
def rate(count: int, total: int) -> Fraction:
    """Return count / total exactly; of no points at all, 0."""
    return Fraction(count, total) if total else Fraction(0)


def wilson(count: int, total: int) -> Interval:
    """Return the 95 % score interval of a proportion.

    With p the share, n the number of points and z the normal quantile, its ends are
    ``(p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n)``.

    Source: Wilson 1927, doi:10.1080/01621459.1927.10502953.
    """
    if not 0 <= count <= total:
        raise ValueError(f"{count} of {total} is no proportion")
    if total == 0:
        return Interval(0.0, 1.0)
    share, square = count / total, _Z * _Z
    centre = share + square / (2 * total)
    half = _Z * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    scale = 1 + square / total
    low = 0.0 if count == 0 else (centre - half) / scale
    high = 1.0 if count == total else (centre + half) / scale
    return Interval(low, high)


def retention(robust: int, parent_robust: int) -> Fraction | None:
    """Return the share of the parent's robust points that the pruned model keeps; None where the parent has none."""
    return Fraction(robust, parent_robust) if parent_robust else None

"""What a series of results says together: spread over seeds, sweet spots, area under robustness against compression.

Intervals and paired tests of single results are in ``score``.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bench.submission.score import SIGNIFICANCE, Interval, Paired, rate

Bits = NDArray[np.bool_]

_T = (12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157, 2.228139,
      2.200985, 2.178813, 2.160369, 2.144787, 2.131450, 2.119905, 2.109816, 2.100922, 2.093024)  # fmt: skip
"""97.5 % quantiles of Student's t for 1 to 19 degrees of freedom; more than 20 seeds are never asked for."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The same cell under several seeds.

    Attributes:
        mean: of the shares, exact.
        deviation: sample standard deviation; None for a single seed, which has none.
        interval: 95 % interval of the mean, by Student's t; None for a single seed.
        least, most: among the seeds.
    """

    seeds: int
    mean: Fraction
    deviation: float | None
    interval: Interval | None
    least: Fraction
    most: Fraction


def spread(counts: Sequence[int], points: int) -> Spread:
    """Summarise one count per seed over the same number of points.

    Source: the sample standard deviation that Blalock et al. 2020, arXiv:2003.03033, ask pruning papers for.
    """
    if not counts or points < 1 or not all(0 <= count <= points for count in counts):
        raise ValueError(f"{list(counts)} of {points} are no shares of a cell's seeds")
    if len(counts) > len(_T) + 1:
        raise ValueError(f"at most {len(_T) + 1} seeds are summarised, got {len(counts)}")
    shares = [rate(count, points) for count in counts]
    mean = sum(shares, Fraction(0)) / len(shares)
    if len(shares) == 1:
        return Spread(1, mean, None, None, mean, mean)
    variance = sum(((share - mean) ** 2 for share in shares), Fraction(0)) / (len(shares) - 1)
    deviation = math.sqrt(variance)
    half = _T[len(shares) - 2] * deviation / math.sqrt(len(shares))
    interval = Interval(max(0.0, float(mean) - half), min(1.0, float(mean) + half))
    return Spread(len(shares), mean, deviation, interval, min(shares), max(shares))


@dataclass(frozen=True, slots=True)
class SweetSpot:
    """The largest compression whose robust accuracy is not significantly below the parent's.

    Attributes:
        compression: 1 / density; 1 where every pruned network is significantly worse.
        paired: parent (first) against the network at that compression (second); None for the parent itself.
    """

    compression: Fraction
    paired: Paired | None


def sweet_spot(parent: Bits, children: Mapping[Fraction, Bits]) -> SweetSpot:
    """Find the sweet spot of one recipe on one parent.

    A network is significantly worse if it holds fewer points and the exact McNemar test on the paired points gives
    p < 0.05. The walk goes from the weakest compression upwards and ends at the first that is significantly worse, so
    that one lucky network beyond it is no sweet spot.

    Args:
        parent: which points survive on the dense network.
        children: compression rate (above 1) to which points survive there.
    """
    if any(compression <= 1 for compression in children):
        raise ValueError("a compression rate is above 1; the parent is given apart")
    best = SweetSpot(Fraction(1), None)
    for compression in sorted(children):
        paired = Paired.of(parent, children[compression])
        if paired.first > paired.second and paired.p_value < SIGNIFICANCE:
            break
        best = SweetSpot(compression, paired)
    return best


def compression(density: Fraction) -> Fraction:
    """Return the compression rate of a density: 1/density.

    Raises:
        ValueError: if nothing is left or more than everything.
    """
    if not 0 < density <= 1:
        raise ValueError(f"a density lies in (0, 1], got {density}")
    return 1 / density


def area(robust: Mapping[Fraction, Fraction]) -> float | None:
    """Return the mean robust accuracy over log₂ of the compression rate (RA-AUC), by the trapezoidal rule.

    With points (cᵢ, rᵢ) in rising order and xᵢ = log₂ cᵢ, it is Σ (xᵢ₊₁ − xᵢ)(rᵢ + rᵢ₊₁)/2 over x_last − x_first: a
    share between 0 and 1, comparable between series over the same compression rates alone. None for fewer than two.
    """
    if any(rate_ < 1 for rate_ in robust):
        raise ValueError("a compression rate is at least 1")
    if len(robust) < 2:
        return None
    rates = sorted(robust)
    pieces = (
        (math.log2(right) - math.log2(left)) * float(robust[left] + robust[right]) / 2
        for left, right in pairwise(rates)
    )
    return sum(pieces) / (math.log2(rates[-1]) - math.log2(rates[0]))

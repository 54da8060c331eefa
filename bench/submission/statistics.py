"""What a series of results says together: spread over seeds, sweet spots, area under robustness against compression.

Intervals and paired tests of single results are in ``score`` and ``paired``.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from bench.submission.paired import Paired, enough, keeps
from bench.submission.points import Bits
from bench.submission.rules import RULES, SIGNIFICANCE
from bench.submission.score import Interval, rate

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


class Holds(NamedTuple):
    """Which points a network holds: under attack, and when nobody attacks."""

    robust: Bits
    correct: Bits


class End(StrEnum):
    """Why a walk along rising compression ends: what the step beyond it does."""

    TOP = "was not measured"
    ROBUST = "loses too much robust accuracy"
    CLEAN = "loses too much clean accuracy"
    UNSHOWN = "may lose too much, the points leave it open"
    UNTESTABLE = "cannot be tested"


@dataclass(frozen=True, slots=True)
class SweetSpot:
    """How far a network can be compressed and is shown to keep what it has.

    Attributes:
        step: index of the last step that is shown; None where the first is not.
        robust, clean: that step (first) against the parent (second).
        end: why the walk went no farther.
    """

    step: int | None
    robust: Paired | None
    clean: Paired | None
    end: End


def sweet_spot(parent: Holds, steps: Sequence[Holds], significance: float = SIGNIFICANCE) -> SweetSpot:
    """Walk from the weakest compression upwards as long as a step is shown to be no worse than a margin.

    A step is shown if the intervals of what it keeps of the parent's robust points and of its correct points both lie
    above the shares of ``board.toml``. Both must hold and the walk ends at the first step that fails, so the chance of
    any false step stays below half the significance without a correction. Where even a network equal to the parent
    could not be shown, the parent holds too few points, and nothing is claimed.

    Source: fixed-sequence tests, Maurer, Hothorn and Lehmacher 1995; intersection-union tests, Berger 1982,
    doi:10.1080/00401706.1982.10487790.
    """
    needed = (enough(RULES.kept_robust, significance), enough(RULES.kept_clean, significance))
    if parent.robust.sum() < needed[0] or parent.correct.sum() < needed[1]:
        return SweetSpot(None, None, None, End.UNTESTABLE)
    found = SweetSpot(None, None, None, End.TOP)
    for index, step in enumerate(steps):
        robust, clean = Paired.of(step.robust, parent.robust), Paired.of(step.correct, parent.correct)
        failed = [
            _fails(robust, RULES.kept_robust, End.ROBUST, significance),
            _fails(clean, RULES.kept_clean, End.CLEAN, significance),
        ]
        ends = [end for end in failed if end]
        if ends:
            return replace(found, end=next((end for end in ends if end is not End.UNSHOWN), End.UNSHOWN))
        found = SweetSpot(index, robust, clean, End.TOP)
    return found


def _fails(pair: Paired, least: Fraction, lost: End, significance: float) -> End | None:
    """Return why a step is not shown: a loss beyond the margin, or one that cannot be ruled out."""
    shown = keeps(pair, least, significance)
    return End.UNSHOWN if shown is None else None if shown else lost


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


def kendall(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return how far two orders of the same things agree: Kendall's τ-b, from −1 to 1; None where one orders nothing.

    With C and D pairs of things that both orders put the same way round and the other way round, and X and Y pairs
    that are no ties in the one and in the other, it is ``(C − D) / √(X Y)``.

    Source: Kendall 1945, doi:10.1093/biomet/33.3.239.
    """
    ours, theirs = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    agreed, first, second = 0, 0, 0
    for row in range(len(ours)):  # row by row: all pairs at once would be a matrix
        one, other = np.sign(ours[row + 1 :] - ours[row]), np.sign(theirs[row + 1 :] - theirs[row])
        agreed += int((one * other).sum())
        first, second = first + int(np.count_nonzero(one)), second + int(np.count_nonzero(other))
    return agreed / math.sqrt(first * second) if first and second else None

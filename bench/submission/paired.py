"""Two results over the same points: the difference, its test, its interval, and what one keeps of the other."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from bench.submission.points import Bits
from bench.submission.rules import SIGNIFICANCE, quantile
from bench.submission.score import Interval, rate

_HALVINGS = 40
"""Of a range of length 2: an end is off by less than 2 · 10⁻¹²."""


@dataclass(frozen=True, slots=True)
class Paired:
    """Two results over the same points."""

    both: int
    first: int
    """Points that only the first one holds."""
    second: int
    neither: int

    @classmethod
    def of(cls, first: Bits, second: Bits) -> "Paired":
        """Count the four outcomes."""
        if len(first) != len(second):
            raise ValueError(f"{len(first)} and {len(second)} outcomes are not paired")
        both = int(np.count_nonzero(first & second))
        only_first, only_second = int(np.count_nonzero(first)) - both, int(np.count_nonzero(second)) - both
        return cls(both, only_first, only_second, len(first) - both - only_first - only_second)

    @property
    def total(self) -> int:
        """Number of points."""
        return self.both + self.first + self.second + self.neither

    @property
    def difference(self) -> Fraction:
        """First minus second, as a share of the points."""
        return rate(self.first - self.second, self.total)

    @property
    def p_value(self) -> float:
        """Of the exact McNemar test."""
        return mcnemar(self.first, self.second)

    @property
    def verdict(self) -> str:
        """Say in words what the test finds of the first."""
        if self.p_value >= SIGNIFICANCE:
            return "not separated"
        return "better" if self.first > self.second else "worse"

    @property
    def interval(self) -> Interval:
        """The 95 % interval of the difference: every difference that the points do not speak against.

        Zero is held against the exact McNemar test, any other difference against Tango's score test. So the interval
        leaves out zero if and only if that p-value is below 0.05; where the exact test is the more careful of the two,
        an end stands at zero.

        Source: Tango 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B.
        """
        if self.total == 0:
            return Interval(-1.0, 1.0)
        low = _lower(self.first, self.second, self.total)
        high = -_lower(self.second, self.first, self.total)
        if self.p_value >= SIGNIFICANCE:
            low, high = min(low, 0.0), max(high, 0.0)
        return Interval(low, high)


@lru_cache(maxsize=2**16)
def mcnemar(first: int, second: int) -> float:
    """Return the two-sided p-value of the exact McNemar test on the discordant counts.

    Under the null hypothesis each of the n = first + second discordant points falls to either side with
    probability 1/2, so p = 2 · P(Binomial(n, 1/2) ≤ min(first, second)), at most 1.

    Source: McNemar 1947, doi:10.1007/BF02295996, in its exact form.
    """
    total, fewer = first + second, min(first, second)
    if 2 * fewer >= total:
        return 1.0
    term = tail = 1
    for index in range(fewer):
        term = term * (total - index) // (index + 1)
        tail += term
    return min(1.0, float(Fraction(2 * tail, 2**total)))


def holm(tests: Sequence[float], significance: float = SIGNIFICANCE) -> list[bool]:
    """Return which of several p-values stand together at one level: with at least one minus it, none is false.

    Source: Holm 1979, https://www.jstor.org/stable/4615733.
    """
    stands = [False] * len(tests)
    for passed, index in enumerate(sorted(range(len(tests)), key=tests.__getitem__)):
        if tests[index] >= significance / (len(tests) - passed):
            break
        stands[index] = True
    return stands


def _lower(first: int, second: int, total: int) -> float:
    """Return the smallest difference that the score test does not reject."""
    bar, estimate = quantile(SIGNIFICANCE), (first - second) / total
    return _root(lambda difference: _score(first, second, total, difference) > bar, -1.0, estimate)


def _score(first: int, second: int, total: int, difference: float) -> float:
    """Return Tango's statistic: how far the counts lie from a true difference, in standard errors.

    With b and c points that only the first and only the second holds, n in all and d the difference, it is
    ``(b − c − n · d) / √(n(2q + d(1 − d)))``, where q, the share that only the second holds, is most likely given d:
    the larger root of ``2n q² + (−b − c + (2n − b + c)d) q − c d (1 − d) = 0``.
    """
    middle = -first - second + (2 * total - first + second) * difference
    product = -second * difference * (1 - difference)
    share = _larger_root(2.0 * total, middle, product)
    return _ratio(first - second - total * difference, total * (2 * share + difference * (1 - difference)))


def kept(pair: Paired, significance: float = SIGNIFICANCE) -> Interval:
    """Return the interval of the share of the second one's points that the first one holds, its own gains included.

    It is the ratio of the two accuracies: every ratio that the score test for matched pairs does not reject at this
    level. Above 1 the first holds more.

    Source: Tang, Tang and Chan 2003, doi:10.1002/sim.1403; Nam and Blackwelder 2002, doi:10.1002/sim.1017.
    """
    ours, theirs = pair.both + pair.first, pair.both + pair.second
    if not ours + theirs:
        return Interval(0.0, math.inf)
    swapped = Paired(pair.both, pair.second, pair.first, pair.neither)
    low = _least_share(pair, ours / (ours + theirs), quantile(significance))
    high = 1 - _least_share(swapped, theirs / (ours + theirs), quantile(significance))
    return Interval(low / (1 - low), high / (1 - high) if high < 1 else math.inf)


def keeps(pair: Paired, least: Fraction, significance: float = SIGNIFICANCE) -> bool | None:
    """Tell whether the first one is shown to hold more than ``least`` of the second one's points; None if that is open.

    It is where the interval of ``kept`` lies, without looking for its ends.
    """
    score, bar = _kept_score(pair, float(least)), quantile(significance)
    return True if score > bar else False if score < -bar else None


def _least_share(pair: Paired, estimate: float, bar: float) -> float:
    """Return the lower end of the ratio r as r / (1 + r), which has no infinite end."""
    return _root(lambda share: _kept_score(pair, share / (1 - share)) > bar, 0.0, estimate)


def kept_p_value(pair: Paired, least: Fraction) -> float:
    """Return the one-sided p-value of the claim that the first keeps more than ``least`` of the second one's points.

    It is below half the significance if and only if the interval of ``kept`` lies above ``least``.
    """
    return NormalDist().cdf(-_kept_score(pair, float(least)))


def enough(least: Fraction, significance: float = SIGNIFICANCE) -> int:
    """Return how many points the second one must hold, so that an identical first one is shown to keep ``least``.

    Of m points, all kept, the interval of ``kept`` begins at m / (m + z²); with fewer points no claim can be tested.
    """
    return math.floor(quantile(significance) ** 2 * float(least / (1 - least))) + 1


def _kept_score(pair: Paired, ratio: float) -> float:
    """Return the score statistic of a true ratio r of first to second.

    With x₁₁ points held by both, x₁₀ and x₀₁ by one, s their sum and n the points, it is
    ``(x₁₁ + x₁₀ − r(x₁₁ + x₀₁)) / √(n(1 + r)q − s(1 − r))``, where q, the share that only the second holds, is
    most likely given r: the larger root of
    ``n(1 + r) q² + ((x₁₁ + x₀₁)r² − x₁₁ − x₁₀ − 2x₀₁) q + x₀₁(1 − r)s/n = 0``.
    """
    total, held = pair.total, pair.both + pair.first + pair.second
    middle = (pair.both + pair.second) * ratio * ratio - (pair.both + pair.first + 2 * pair.second)
    share = _larger_root(total * (1 + ratio), middle, pair.second * (1 - ratio) * held / total)
    distance = pair.both + pair.first - ratio * (pair.both + pair.second)
    return _ratio(distance, total * (1 + ratio) * share - held * (1 - ratio))


def _larger_root(square: float, middle: float, product: float) -> float:
    """Return the larger root of ``square x² + middle x + product``, without cancellation."""
    spread = math.sqrt(max(0.0, middle * middle - 4 * square * product))
    if middle <= 0:
        return (spread - middle) / (2 * square)
    return -2 * product / (middle + spread)


def _ratio(distance: float, variance: float) -> float:
    return distance / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, distance) if distance else 0.0


def _root(beyond: Callable[[float], bool], low: float, high: float) -> float:
    """Return where a condition that holds at ``low`` and not at ``high`` ends."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if beyond(middle):
            low = middle
        else:
            high = middle
    return high

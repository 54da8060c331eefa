"""From counts to what a reader compares: exact rates, intervals, paired tests, ranks."""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

SIGNIFICANCE = 0.05
"""Two entries whose paired test stays above this share a rank."""
_Z = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""

Bits = NDArray[np.bool_]
_Key = TypeVar("_Key", bound=Hashable)


class Interval(NamedTuple):
    """A 95 % interval."""

    low: float
    high: float


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
        both = int((first & second).sum())
        only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
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
        """The 95 % interval of the difference.

        With half a point added to each of the four outcomes, d the difference of the discordant shares, s their sum
        and n the points, it is ``d ± z √((s − d²) / n)``.

        Source: Agresti and Min 2005, doi:10.1002/sim.1781.
        """
        total = self.total + 2
        difference = (self.first - self.second) / total
        spread = (self.first + self.second + 1) / total - difference * difference
        half = _Z * math.sqrt(max(spread, 0.0) / total)
        return Interval(max(-1.0, difference - half), min(1.0, difference + half))


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


class Contender(NamedTuple):
    """What ranking needs to know of an entry."""

    robust: Bits
    """Which points survive."""
    correct: int
    """Clean; orders entries with equally many survivors."""
    name: str


class Place(NamedTuple):
    """A rank, and whether other entries share it."""

    rank: int
    tied: bool

    def __str__(self) -> str:
        """Spell it: ``3``, or ``=3`` where it is shared."""
        return f"={self.rank}" if self.tied else str(self.rank)


def order(contender: Contender) -> tuple[int, int, str]:
    """Return the key that puts the best entry first."""
    return (-int(contender.robust.sum()), -contender.correct, contender.name)


def places(contenders: Sequence[_Key], describe: Callable[[_Key], Contender]) -> dict[_Key, Place]:
    """Rank entries over the same points, best first.

    An entry opens a rank of its own only if a paired test tells it from the entry that opened the rank above; all
    others share that rank. One more broken point can therefore never improve an entry's rank.
    """
    described = sorted(((describe(key), key) for key in contenders), key=lambda pair: order(pair[0]))
    groups: list[list[_Key]] = []
    leader: Contender | None = None
    for contender, key in described:
        if leader is None or Paired.of(leader.robust, contender.robust).p_value < SIGNIFICANCE:
            groups.append([])
            leader = contender
        groups[-1].append(key)
    ranked: dict[_Key, Place] = {}
    for group in groups:
        place = Place(len(ranked) + 1, len(group) > 1)
        ranked |= dict.fromkeys(group, place)
    return ranked


def retention(robust: int, parent_robust: int) -> Fraction | None:
    """Return the share of the parent's robust points that the pruned model keeps; None where the parent has none."""
    return Fraction(robust, parent_robust) if parent_robust else None

"""Ranks of entries over the same points, as far as paired tests tell entries apart; and the bands that are ranked."""

from collections.abc import Callable, Hashable, Sequence
from fractions import Fraction
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.submission.paired import mcnemar
from bench.submission.points import Bits
from bench.submission.rules import RULES, SIGNIFICANCE

_Key = TypeVar("_Key", bound=Hashable)


class Contender(NamedTuple):
    """What ranking needs to know of an entry."""

    robust: Bits
    """Which points survive."""
    correct: int
    """Clean; orders entries with equally many survivors."""
    name: str


class Place(NamedTuple):
    """The ranks that an entry may have.

    Attributes:
        rank: by the robust count alone; lies between the others.
        best: one more than the entries that are significantly better.
        worst: all entries less those that are significantly worse.
    """

    rank: int
    best: int
    worst: int

    def __str__(self) -> str:
        """Spell it: ``3``, or ``2–5`` where tests leave it open."""
        return str(self.best) if self.best == self.worst else f"{self.best}–{self.worst}"


def order(contender: Contender) -> tuple[int, int, str]:
    """Return the key that puts the best entry first."""
    return (-int(contender.robust.sum()), -contender.correct, contender.name)


def places(contenders: Sequence[_Key], describe: Callable[[_Key], Contender]) -> dict[_Key, Place]:
    """Rank entries over the same points, best first, by an interval of ranks for each.

    Every pair is held against the exact McNemar test, all pairs together at the level of ``board.toml`` by Holm's
    correction. With at least that confidence all intervals hold the ranks on the points that these stand for.

    Source: Mogstad, Romano, Shaikh and Wilhelm 2024, doi:10.1093/restud/rdad006; Holm 1979,
    https://www.jstor.org/stable/4615733.
    """
    described = sorted(((describe(key), key) for key in contenders), key=lambda pair: order(pair[0]))
    if not described:
        return {}
    standing = np.stack([contender.robust for contender, _ in described])
    counts, better = standing.sum(axis=1), _better(standing)
    above, below = better.sum(axis=0), better.sum(axis=1)
    return {
        key: Place(1 + int((counts > counts[row]).sum()), 1 + int(above[row]), len(described) - int(below[row]))
        for row, (_, key) in enumerate(described)
    }


def _better(standing: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which row is significantly better than which column.

    Args:
        standing: which entry (row) holds which point (column).
    """
    held = standing.astype(np.float32)  # exact up to 2²⁴ points
    only = held.sum(axis=1)[:, None] - held @ held.T
    coded = np.minimum(only, only.T).astype(np.int64) * (standing.shape[1] + 1) + np.maximum(only, only.T).astype(
        np.int64
    )
    found, which, times = np.unique(coded, return_inverse=True, return_counts=True)
    tests = [mcnemar(*divmod(int(code), standing.shape[1] + 1)) for code in found]
    significant = np.zeros(len(tests), dtype=bool)
    waiting = len(standing) * (len(standing) - 1)  # each pair twice
    for index in sorted(range(len(tests)), key=tests.__getitem__):
        if waiting < 1 or tests[index] >= 2 * SIGNIFICANCE / waiting:
            break
        significant[index] = True
        waiting -= int(times[index])
    told: NDArray[np.bool_] = significant[which].reshape(only.shape) & (only > only.T)
    return told


def band(share: Fraction) -> int:
    """Return the band of a share of weights or of multiply-accumulates removed; 0 is the lowest.

    The share is rounded to a tenth of a percent, as pages print it: the last weight of a target may not be there.
    """
    shown = Fraction(round(1000 * share), 1000)
    return sum(edge <= shown for edge in RULES.bands)


def bounds(number: int) -> tuple[Fraction, Fraction]:
    """Return the edges of a band: its lowest share, and the lowest of the next one."""
    edges = (Fraction(0), *RULES.bands, Fraction(1))
    return edges[number], edges[number + 1]

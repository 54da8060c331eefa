"""Which entry keeps most within a budget, and which others no test tells from it."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, reduce
from typing import NamedTuple

import numpy as np

from bench.protocol.load import Protocol
from bench.site import cost
from bench.site.entries import Catalogue, Entry
from bench.submission.paired import Paired
from bench.submission.points import Bits
from bench.submission.rules import SIGNIFICANCE
from bench.submission.score import rate
from bench.threats import Norm


@dataclass(frozen=True, slots=True)
class Question:
    """A threat and a budget.

    Attributes:
        norms: all of which a point has to survive.
        kind: of the budget, a key of ``sizes``.
        most: what the budget allows, in the unit of ``sizes``.
        clean: least clean accuracy, in percent.
        everyone: entries that nobody but their authors measured may be taken, too.
    """

    norms: tuple[Norm, ...]
    kind: str = "weights"
    most: int | float = math.inf
    clean: int | float = 0
    everyone: bool = False


class Rival(NamedTuple):
    """An entry that fits, too, and how it compares: it is the first of the pair, the answer the second."""

    entry: Entry
    pair: Paired


class Answer(NamedTuple):
    """What to take.

    Attributes:
        take: None where nothing fits.
        rivals: what fits and cannot be told apart from it, best first.
        fitting: how many fit, the answer included.
        nearest: where nothing fits, the smallest entry that is accurate enough, else the most accurate one; None where
            none was measured.
    """

    take: Entry | None
    rivals: tuple[Rival, ...] = ()
    fitting: int = 0
    nearest: Entry | None = None


@lru_cache(32_768)
def sizes(entry: Entry) -> Mapping[str, int | float]:
    """Return what a budget may be of: counts, percent of the parent's as pages print them, seconds for an image.

    A latency bears the name of its machine and the images of a batch, since no two of them compare.
    """
    pruning, timed = entry.result.pruning, entry.result.cost.latency
    found: dict[str, int | float] = {
        "weights": pruning.nonzero,
        "left": _tenths(1 - entry.sparsity),
        "bytes": pruning.bytes_packed,
        "macs": pruning.nonzero_macs,
        "work": _tenths(rate(pruning.nonzero_macs, pruning.parent_macs)),
    }
    if timed is not None:
        where = f"{cost.machine(entry.result.cost.machine)}, batches of {timed.batch}"
        found[f"latency on {where}"] = timed.network.forward[1]
    return found


def _tenths(share: Fraction) -> float:
    """Round to a tenth of a percent, as bands are: the last weight of a target may not be there."""
    return round(1000 * share) / 10


def candidates(catalogue: Catalogue, protocol: Protocol) -> list[Entry]:
    """Return what may ever be taken: published, alive and current; dense networks too."""
    return [
        entry
        for entry in catalogue.by_protocol[protocol.name]
        if not entry.withheld and not entry.result.collapsed and catalogue.current(entry)
    ]


def all_norms(protocol: Protocol, entries: Iterable[Entry]) -> tuple[Norm, ...]:
    """Return every norm of a protocol of several that some entry brings all of; none where none does."""
    norms = tuple(rule.norm for rule in protocol.threats)
    return norms if len(norms) > 1 and any(set(norms) <= set(entry.robust) for entry in entries) else ()


def standing(entry: Entry, norms: Iterable[Norm]) -> Bits:
    """Return which points survive under every one of several norms."""
    return reduce(np.logical_and, (entry.robust[norm] for norm in norms))


class _Asked(NamedTuple):
    """An entry with what a question is about."""

    entry: Entry
    size: int | float
    robust: Bits
    survive: int

    @property
    def clean(self) -> float:
        """In percent, by one division, as scripts have it: a share that equals a bar reaches it."""
        return 100 * self.entry.result.clean.correct / self.entry.result.data.points

    @property
    def order(self) -> tuple[int, int, int | float, str]:
        """The key that puts what to take first."""
        return -self.survive, -self.entry.result.clean.correct, self.size, self.entry.id


def choose(entries: Iterable[Entry], question: Question) -> Answer:
    """Return the most robust entry within a budget; of equal ones the more accurate, the smaller, the first by name.

    One that survives at no point is no answer. Another entry is told apart from the answer if the exact McNemar test
    says so at the level of ``board.toml``, divided by the entries that fit beside it, so that the best of many is not
    taken for more than it is.
    """
    asked = [
        _Asked(entry, size, robust, survive)
        for entry in entries
        if (question.everyone or entry.level.ranked)
        and set(question.norms) <= set(entry.robust)
        and (size := sizes(entry).get(question.kind)) is not None
        and (survive := int(np.count_nonzero(robust := standing(entry, question.norms))))
    ]
    accurate = [one for one in asked if one.clean >= question.clean]
    fitting = sorted((one for one in accurate if one.size <= question.most), key=lambda one: one.order)
    if not fitting:
        return Answer(None, nearest=_nearest(asked, accurate))
    take, *others = fitting
    pairs = [Rival(one.entry, Paired.of(one.robust, take.robust)) for one in others]
    rivals = (rival for rival in pairs if rival.pair.p_value * len(pairs) >= SIGNIFICANCE)
    return Answer(take.entry, tuple(rivals), len(fitting))


def _nearest(asked: list[_Asked], accurate: list[_Asked]) -> Entry | None:
    if accurate:
        return min(accurate, key=lambda one: (one.size, one.order)).entry
    return min(asked, key=lambda one: (-one.clean, one.size, one.entry.id)).entry if asked else None

"""How far each parent can be compressed before its robustness goes: ladders and sweet spots."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import takewhile
from typing import NamedTuple

from bench.site.entries import Board, Catalogue, Entry, paired
from bench.submission.score import Paired, rate
from bench.submission.statistics import area, sweet_spot
from bench.threats import Norm


class Spot(NamedTuple):
    """The highest compression that a paired test does not tell from the dense parent, or finds better."""

    entry: Entry
    robust: Paired
    clean: Paired


@dataclass(frozen=True, slots=True)
class Ladder:
    """One parent under one threat model, and what was pruned from it."""

    parent: Entry
    norm: Norm
    rungs: tuple[tuple[Entry, str], ...]
    """Entries with the recipe or method and the regime they belong to, by rising compression."""
    spots: dict[str, Spot | None]
    """Per recipe or method and regime; none where already the lowest compression loses."""
    areas: dict[str, float | None]
    """Per recipe or method and regime: mean robust accuracy over log₂ of the compression, parent to last rung."""


def ladders(catalogue: Catalogue, board: Board) -> list[Ladder]:
    """Return a ladder for each measured parent with at least one pruned entry, most entries first."""
    made = []
    for parent in board.entries:
        children = [
            entry for entry in catalogue.children(parent) if _usable(catalogue, entry) and board.norm in entry.robust
        ]
        if children and _usable(catalogue, parent):
            made.append(_ladder(parent, children, board.norm))
    return sorted(made, key=lambda found: (-len(found.rungs), found.parent.id))


def _usable(catalogue: Catalogue, entry: Entry) -> bool:
    return not entry.withheld and entry not in catalogue.superseded


def _ladder(parent: Entry, children: list[Entry], norm: Norm) -> Ladder:
    children = sorted(children, key=lambda entry: (entry.sparsity, entry.id))
    rungs = tuple((entry, _line(entry)) for entry in children)
    spots: dict[str, Spot | None] = {}
    areas: dict[str, float | None] = {}
    for name in sorted({line for _, line in rungs}):
        own = [entry for entry, line in rungs if line == name]
        spots[name], areas[name] = _spot(parent, own, norm), _area(parent, own, norm)
    return Ladder(parent, norm, rungs, spots, areas)


def _line(entry: Entry) -> str:
    pruning = entry.result.pruning
    return pruning.how if pruning.regime in {None, "one-shot"} else f"{pruning.how}, {pruning.regime}"


def _spot(parent: Entry, rungs: list[Entry], norm: Norm) -> Spot | None:
    alive = _by_compression(takewhile(lambda entry: not entry.result.collapsed, rungs))
    found = sweet_spot(parent.robust[norm], {rate_: entry.robust[norm] for rate_, entry in alive.items()})
    if found.paired is None:
        return None
    entry = alive[found.compression]
    return Spot(entry, paired(entry, parent, norm), Paired.of(entry.correct, parent.correct))


def _area(parent: Entry, rungs: list[Entry], norm: Norm) -> float | None:
    """Return RA-AUC; what a collapsed network survives is no robustness, so it counts as none."""
    points = parent.result.data.points
    shares = {
        rate_: Fraction(0) if entry.result.collapsed else rate(entry.survivors(norm), points)
        for rate_, entry in _by_compression(rungs).items()
    }
    return area({Fraction(1): rate(parent.survivors(norm), points)} | shares)


def _by_compression(rungs: Iterable[Entry]) -> dict[Fraction, Entry]:
    return {entry.compression: entry for entry in rungs if entry.compression is not None and entry.compression > 1}

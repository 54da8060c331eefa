"""How far each parent can be compressed before its robustness goes: ladders and sweet spots."""

from dataclasses import dataclass
from typing import NamedTuple

from bench.site.entries import Board, Catalogue, Entry, paired
from bench.submission.score import SIGNIFICANCE, Paired
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
    """Entries with the recipe and regime they belong to, by rising compression."""
    spots: dict[str, Spot | None]
    """Per recipe and regime; none where already the lowest compression loses."""


def ladders(catalogue: Catalogue, board: Board) -> list[Ladder]:
    """Return a ladder for each measured parent with at least one pruned entry, most entries first."""
    made = []
    for parent in board.entries:
        children = [entry for entry in catalogue.children(parent) if _usable(catalogue, entry)]
        if children and _usable(catalogue, parent):
            made.append(_ladder(parent, children, board.norm))
    return sorted(made, key=lambda found: (-len(found.rungs), found.parent.id))


def _usable(catalogue: Catalogue, entry: Entry) -> bool:
    return not entry.withheld and entry not in catalogue.superseded


def _ladder(parent: Entry, children: list[Entry], norm: Norm) -> Ladder:
    children = sorted(children, key=lambda entry: (entry.sparsity, entry.id))
    rungs = tuple((entry, _line(entry)) for entry in children)
    spots: dict[str, Spot | None] = {}
    for name in sorted({line for _, line in rungs}):
        spots[name] = _spot(parent, [entry for entry, line in rungs if line == name], norm)
    return Ladder(parent, norm, rungs, spots)


def _line(entry: Entry) -> str:
    pruning = entry.result.pruning
    return pruning.recipe if pruning.regime == "one-shot" else f"{pruning.recipe}, {pruning.regime}"


def _spot(parent: Entry, rungs: list[Entry], norm: Norm) -> Spot | None:
    found = None
    for entry in rungs:
        robust, clean = paired(entry, parent, norm), Paired.of(entry.correct, parent.correct)
        if entry.result.collapsed or _loses(robust):
            break
        found = Spot(entry, robust, clean)
    return found


def _loses(pair: Paired) -> bool:
    return pair.first < pair.second and pair.p_value < SIGNIFICANCE

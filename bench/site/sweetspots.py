"""How far each parent can be compressed before its robustness goes: ladders and sweet spots."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import takewhile

from bench.site.entries import Board, Catalogue, Entry
from bench.submission.paired import Paired, enough
from bench.submission.rules import RULES, SIGNIFICANCE
from bench.submission.score import rate
from bench.submission.statistics import End, Holds, area, sweet_spot
from bench.threats import Norm


@dataclass(frozen=True, slots=True)
class Spot:
    """The highest compression of one recipe on one parent that is shown to keep enough.

    Attributes:
        entry: None where no step is shown.
        robust, clean: entry (first) against the parent (second).
        together: the same where all recipes and parents of the board are claimed together.
        end: why it is no farther, in words.
    """

    entry: Entry | None
    robust: Paired | None
    clean: Paired | None
    together: Entry | None
    end: str


@dataclass(frozen=True, slots=True)
class Ladder:
    """One parent under one threat model, and what was pruned from it."""

    parent: Entry
    norm: Norm
    rungs: tuple[tuple[Entry, str], ...]
    """Entries with the recipe or method and the regime they belong to, by rising compression."""
    spots: dict[str, Spot]
    """Per recipe or method and regime."""
    areas: dict[str, float | None]
    """Per recipe or method and regime: mean robust accuracy over log₂ of the compression, parent to last rung."""


@lru_cache(32)
def ladders(catalogue: Catalogue, board: Board) -> list[Ladder]:
    """Return a ladder for each measured parent with at least one pruned entry, most entries first.

    The tests behind one take their time, and several figures and pages ask for the same.
    """
    families = []
    for parent in board.entries:
        children = [
            entry for entry in catalogue.children(parent) if _usable(catalogue, entry) and board.norm in entry.robust
        ]
        if children and _usable(catalogue, parent) and not parent.withheld:
            families.append((parent, sorted(children, key=lambda entry: (entry.sparsity, entry.id))))
    claims = sum(len({_line(entry) for entry in children}) for _, children in families)
    made = [_ladder(parent, children, board.norm, claims) for parent, children in families]
    return sorted(made, key=lambda found: (-len(found.rungs), found.parent.id))


def _usable(catalogue: Catalogue, entry: Entry) -> bool:
    """Say whether an entry stands on a ladder: what has collapsed does, though its figures are withheld."""
    return (not entry.withheld or entry.result.collapsed) and catalogue.current(entry)


def _ladder(parent: Entry, children: list[Entry], norm: Norm, claims: int) -> Ladder:
    rungs = tuple((entry, _line(entry)) for entry in children)
    spots: dict[str, Spot] = {}
    areas: dict[str, float | None] = {}
    for name in sorted({line for _, line in rungs}):
        own = [entry for entry, line in rungs if line == name]
        spots[name], areas[name] = _spot(parent, own, norm, claims), _area(parent, own, norm)
    return Ladder(parent, norm, rungs, spots, areas)


def _line(entry: Entry) -> str:
    pruning = entry.result.pruning
    if pruning.regime in {None, "one-shot"}:
        return pruning.how
    return f"{pruning.criterion or pruning.how}, {pruning.regime}"  # entries that learned come as files


def _spot(parent: Entry, rungs: Sequence[Entry], norm: Norm, claims: int) -> Spot:
    alive = list(takewhile(lambda entry: not entry.result.collapsed, _pruned(rungs)))
    steps = [Holds(entry.robust[norm], entry.correct) for entry in alive]
    held = Holds(parent.robust[norm], parent.correct)
    found, together = sweet_spot(held, steps), sweet_spot(held, steps, SIGNIFICANCE / claims)
    at, joint = (None if spot.step is None else alive[spot.step] for spot in (found, together))
    end = found.end.value
    if found.end is End.TOP and len(alive) < len(rungs):
        end = "has collapsed"
    said = f"the {'next' if at else 'first'} step {end}"
    if found.end is End.UNTESTABLE:
        said = _untestable(held)
    elif found.end is End.TOP and end == End.TOP.value:
        said = "nothing sparser was measured"
    return Spot(at, found.robust, found.clean, joint, said)


def _untestable(held: Holds) -> str:
    robust, needed = int(held.robust.sum()), enough(RULES.kept_robust)
    if robust < needed:
        return f"cannot be tested: the parent holds {robust} robust points, {needed} are needed"
    return (
        f"cannot be tested: the parent is right on {held.correct.sum()} points, {enough(RULES.kept_clean)} are needed"
    )


def _area(parent: Entry, rungs: Sequence[Entry], norm: Norm) -> float | None:
    """Return RA-AUC; what a collapsed network survives is no robustness, so it counts as none."""
    points = parent.result.data.points
    shares = {
        entry.compression: Fraction(0) if entry.result.collapsed else rate(entry.survivors(norm), points)
        for entry in _pruned(rungs)
        if entry.compression is not None
    }
    return area({Fraction(1): rate(parent.survivors(norm), points)} | shares)


def _pruned(rungs: Iterable[Entry]) -> list[Entry]:
    """Return the entries with less than all and more than nothing left."""
    return [entry for entry in rungs if entry.compression is not None and entry.compression > 1]

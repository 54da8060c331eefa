"""The columns of a board: what each one says, how it sorts, what it means."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from bench.site import cost
from bench.site.edge import loose
from bench.site.entries import DENSE, Board, Catalogue, Entry
from bench.site.figures import SYMBOLS, duration, interval, metric, percent, signed, threat
from bench.submission.paired import Paired
from bench.submission.schema import Level, VerificationLevel
from bench.submission.score import rate, wilson
from bench.threats import Norm

BEST = 5
"""Relatives of a band that a page lists, in words "the five that survive most"."""
LAST = -1e9
"""Sorts below every number; a missing value never leads."""
_LATENCY = (
    "One image forward: by one thread of a processor, or by the clock on an accelerator; its machine is under Seconds."
)
_NONZERO = "Non-zero parameters of the whole network."
_RANK = "Within the band of sparsity: the ranks that paired tests leave open, all pairs of the band taken together."
_RECIPE = "Score, structure, scope, schedule; for a file that `bench prune` wrote, what it wrote down."
_HALF = (
    "For half of all points an adversarial image was found no farther away, in the norm of the board: a bound from "
    "above; misread points count as 0."
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table."""

    text: str
    order: int | float | None = None
    """What it sorts by where the text does not say it."""
    small: str = ""
    """An interval or a reason, printed small."""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One entry on one board."""

    entry: Entry
    board: Board
    catalogue: Catalogue

    @property
    def norm(self) -> Norm:
        """Of the board."""
        return self.board.norm

    @property
    def shown(self) -> bool:
        """The robust accuracy may be published."""
        return not self.entry.withheld

    @property
    def against_parent(self) -> Paired | None:
        """The paired comparison with the dense parent, where it has been measured too."""
        parent = self.catalogue.parents.get(self.entry)
        return (
            None
            if parent is None or self.norm not in parent.robust
            else Paired.of(self.entry.robust[self.norm], parent.robust[self.norm])
        )


@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    key: str
    header: str
    says: str
    cell: Callable[[Row], Cell]
    number: bool = False
    facet: bool = False
    """Readers may filter by its values."""
    extra: bool = False
    """Hidden until a reader asks for it."""


def notes(catalogue: Catalogue, entry: Entry) -> list[str]:
    """Return, in words, everything that a reader must know before trusting an entry."""
    reason = catalogue.unranked(entry)
    found = [reason] if reason else []
    told = {"collapse"} if reason and reason.startswith("collapsed") else set()
    found += [_flag(flag.check, flag.level) for flag in entry.result.flags if flag.check not in told]
    if entry.result.pruning.collapsed_layers:
        empty = len(entry.result.pruning.collapsed_layers)
        found.append(f"{empty} layer{'s' if empty > 1 else ''} without a weight")
    if entry.submission.extra_data:
        found.append("trained on extra data")
    return found


def remarks(catalogue: Catalogue, entry: Entry) -> list[str]:
    """Return the notes that neither the level of an entry nor its band says already."""
    found = notes(catalogue, entry)
    return found[1:] if found and found[0].startswith((f"{entry.level}:", f"{DENSE}:")) else found


def relatives(catalogue: Catalogue, entry: Entry) -> list[Entry]:
    """Return whom an entry's page shows beside it, sparser downwards, the dense network first; none where it is alone.

    A dense network's page shows the best of every band, a pruned one's what was pruned by the same method and the best
    of its band: pages of a large family would weigh more with every member.
    """
    parent = catalogue.parents.get(entry, entry)
    norm = next(iter(parent.counts))
    banded: dict[str, list[Entry]] = defaultdict(list)
    for one in catalogue.children(parent):
        banded[one.band].append(one)
    best = {
        one
        for label, inside in banded.items()
        if entry is parent or label == entry.band
        for one in sorted(
            inside, key=lambda one: (one.withheld or one.result.collapsed, -one.counts.get(norm, 0), one.id)
        )[:BEST]
    }
    alike = {one for one in catalogue.children(parent) if one.submission.method == entry.submission.method}
    near = sorted(best | alike, key=lambda child: (child.sparsity, child.id))
    return [parent, *near] if near else []


def doubts(catalogue: Catalogue, entry: Entry) -> list[str]:
    """Return the remarks with each flag in its own words, the reason why there is no rank first."""
    spelt = {_flag(flag.check, flag.level): flag.says for flag in entry.result.flags if flag.says}
    why = [flag.says for flag in entry.result.flags if flag.check == "collapse" and flag.says]
    found = [
        why[0] if why and remark.startswith("collapsed") else spelt.get(remark, remark)
        for remark in remarks(catalogue, entry)
    ]
    edges = [(norm, edge) for norm in entry.robust if not entry.withheld and (edge := loose(entry, norm))]
    return found + [
        f"Of the {edge.broken} points that fell under {SYMBOLS[norm]}, no image was found nearer than the edge of the "
        f"radius for {edge.found}: the curve inside it and the median distance may be far too high."
        for norm, edge in edges
    ]


def rows(catalogue: Catalogue, board: Board) -> list[Row]:
    """Return the rows of a board, band by band, best first in each."""
    return [Row(entry, board, catalogue) for band in board.bands for entry in band.entries]


def columns(board: Board) -> list[Column]:
    """Return the columns of a board, in the order in which they are read."""
    under = threat(board.norm, board.epsilon)
    survive = (
        f"Points without a verified witness under {under}, whoever found it, with the 95 % interval; in brackets what "
        "the threat model's own cascade leaves, where that is more."
    )
    return [
        Column("rank", "Rank", _RANK, _rank, number=True),
        Column("entry", "Entry", "The network, and how it was pruned.", _name),
        Column("robust", "Robust %", survive, _robust, number=True),
        Column("sparsity", "Sparsity %", "Exact zeros among the prunable weights, measured.", _sparsity, number=True),
        Column("change", "Δ parent", "Robust accuracy minus that of the dense parent, points.", _change, number=True),
        *_attacks(board),
        Column("clean", "Clean %", "Correct without any perturbation.", _clean, number=True),
        *_other_norms(board),
        Column("macs", "MACs", "Multiply-accumulates with non-zero weights.", _size("nonzero_macs"), number=True),
        *_scenarios(board),
        Column("median", "Median distance", _HALF, _median, number=True, extra=True),
        Column("weights", "Weights", _NONZERO, _size("nonzero"), number=True, extra=True),
        Column("bytes", "Packed bytes", "Masks and values.", _size("bytes_packed"), number=True, extra=True),
        Column("latency", "Latency", _LATENCY, _latency, number=True, extra=True),
        Column(
            "passes",
            "Passes",
            "Images through the network, forward and back, in this cascade.",
            _passes,
            number=True,
            extra=True,
        ),
        Column(
            "seconds",
            "Seconds",
            "Of the whole evaluation, all its norms and checks, and on what.",
            _seconds,
            number=True,
            extra=True,
        ),
        Column(
            "joules",
            "Joules",
            "Of the whole evaluation, where the machine has a meter.",
            _joules,
            number=True,
            extra=True,
        ),
        Column("band", "Band", "Of measured sparsity.", _band, facet=True, extra=True),
        Column("level", "Level", "How far others have checked it.", _level, facet=True),
        Column("recipe", "Recipe", _RECIPE, _word("criterion"), facet=True, extra=True),
        *_methods(board),
        Column("structure", "Structure", "The pattern of the zeros.", _word("structure"), facet=True, extra=True),
        Column("regime", "Regime", "What followed the pruning.", _word("regime"), facet=True, extra=True),
        Column("network", "Network", "Architecture.", _network, facet=True, extra=True),
        Column("notes", "Notes", "Flags and reasons, in words.", _notes),
    ]


def _other_norms(board: Board) -> Iterator[Column]:
    brought = {norm for entry in board.entries for norm in entry.robust}
    others = [rule for rule in board.protocol.threats if rule.norm is not board.norm and rule.norm in brought]
    for rule in others:
        under = threat(rule.norm, rule.epsilon)
        says = f"Robust accuracy of the same network under {under}."
        yield Column(f"robust-{rule.norm.lower()}", f"{under} %", says, _surviving(rule.norm), number=True)
    if others:
        says = "Points that survive every attack of every threat model of the protocol."
        yield Column("union", "all norms %", says, _surviving(*(rule.norm for rule in board.protocol.threats)),
                     number=True, extra=True)  # fmt: skip


def _surviving(*norms: Norm) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        if not row.shown or not all(norm in row.entry.robust for norm in norms):
            return Cell("–", LAST)
        standing = int(np.logical_and.reduce([row.entry.robust[norm] for norm in norms]).sum())
        return Cell(percent(rate(standing, row.entry.result.data.points)))

    return cell


def _methods(board: Board) -> Iterator[Column]:
    if any(entry.result.pruning.method for entry in board.entries):
        says = "How it was pruned before it was handed in as a file, in the words of its authors."
        yield Column("method", "Method", says, _word("method"), facet=True, extra=True)


def _scenarios(board: Board) -> Iterator[Column]:
    for name in sorted({name for entry in board.entries for name in entry.result.scenarios}):
        says = f"Robust accuracy where the adversary is {name} only; the Robust column is the worst case."
        yield Column(f"scenario-{name}", f"{name} %", says, _scenario(name), number=True, extra=True)


def _scenario(name: str) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        record = row.entry.result.scenarios.get(name)
        if record is None or row.norm not in record.robust or not row.shown:
            return Cell("–", LAST)
        return Cell(percent(rate(record.robust[row.norm], row.entry.result.data.points)))

    return cell


def _median(row: Row) -> Cell:
    if not row.shown:
        return Cell("–", LAST)
    # sorted, not averaged: the middle pair may hold infinity
    distances = np.sort(row.entry.folder.points.distance[row.norm])
    middle = float(distances[(len(distances) - 1) // 2])
    return Cell("∞", 1e9) if np.isinf(middle) else Cell(f"{middle:.3g}", middle)


def _attacks(board: Board) -> Iterator[Column]:
    for attack in board.protocol.cascade(board.norm):
        says = f"Robust accuracy after {attack}, in the order of the cascade."
        yield Column(f"after-{attack}", f"after {attack} %", says, _after(attack), number=True, extra=True)


def _after(attack: str) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        record = row.entry.result.threat(row.norm)
        if record is None or not row.shown:
            return Cell("–", LAST)
        standing = row.entry.result.clean.correct
        for run in record.attacks:
            standing -= run.broken
            if run.name == attack:
                break
        return Cell(percent(rate(standing, row.entry.result.data.points)))

    return cell


def rank(board: Board, entry: Entry) -> str:
    """Spell the rank of an entry: ``2–5``, or ``–`` where it carries none."""
    return str(board.places.get(entry, "–"))


def _rank(row: Row) -> Cell:
    place = row.board.places.get(row.entry)
    return Cell(rank(row.board, row.entry), 1e9 if place is None else place.rank)


def _band(row: Row) -> Cell:
    return Cell(row.entry.band, [band.label for band in row.board.bands].index(row.entry.band))


def _name(row: Row) -> Cell:
    return Cell(row.entry.submission.name, small=row.entry.variant, link=row.entry.address)


def _level(row: Row) -> Cell:
    return Cell(row.entry.level.value, list(VerificationLevel).index(row.entry.level))


def _word(field: str) -> Callable[[Row], Cell]:
    return lambda row: Cell(str(getattr(row.entry.result.pruning, field) or "–"))


def _size(field: str) -> Callable[[Row], Cell]:
    def cell(row: Row) -> Cell:
        count: int = getattr(row.entry.result.pruning, field)
        return Cell(metric(count), count)

    return cell


def _latency(row: Row) -> Cell:
    timed = row.entry.result.cost.latency
    if timed is None:
        return Cell("–", LAST)
    faster = "" if timed.times_faster is None else f"{timed.times_faster:.2f}× the parent's pace"
    return Cell(duration(timed.network.forward[1]), timed.network.forward[1], faster)


def _passes(row: Row) -> Cell:
    record = row.entry.result.threat(row.norm)
    assert record is not None
    return Cell(metric(cost.passes(record)), cost.passes(record))


def _seconds(row: Row) -> Cell:
    spent = row.entry.result.cost
    return Cell(f"{spent.seconds:.0f}", spent.seconds, cost.machine(spent.machine))


def _joules(row: Row) -> Cell:
    found = cost.joules(row.entry.result.cost)
    return Cell("–", LAST) if found is None else Cell(metric(round(found)), found)


def _network(row: Row) -> Cell:
    return Cell(row.entry.result.model.architecture)


def _sparsity(row: Row) -> Cell:
    return Cell(percent(row.entry.sparsity))


def _clean(row: Row) -> Cell:
    result = row.entry.result
    return Cell(percent(rate(result.clean.correct, result.data.points)))


def _robust(row: Row) -> Cell:
    if not row.shown:
        return Cell("withheld", LAST)
    survivors, points = row.entry.survivors(row.norm), row.entry.result.data.points
    alone = row.entry.alone(row.norm)
    own = "" if alone is None else f" ({percent(rate(alone, points))})"
    return Cell(percent(rate(survivors, points)), survivors, interval(wilson(survivors, points)) + own)


def _change(row: Row) -> Cell:
    pair = row.against_parent
    if pair is None or not row.shown:
        return Cell("–", LAST)
    return Cell(signed(pair.difference), float(Fraction(pair.difference)))


def _notes(row: Row) -> Cell:
    """Return the remarks in short: what follows a colon stands on the page of the entry."""
    return Cell("; ".join(remark.split(":")[0] for remark in remarks(row.catalogue, row.entry)))


def _flag(check: str, level: Level) -> str:
    return f"{check.replace('-', ' ')} ({level})"

"""Mixed traffic: which entry serves best when a share p of the inputs is attacked, and where the winner changes."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple

from bench.site.entries import Board, Catalogue, Entry
from bench.submission.score import rate
from bench.threats import Norm


class Line(NamedTuple):
    """A(p) = (1 − p) · clean + p · robust of one entry."""

    entry: Entry
    clean: Fraction
    robust: Fraction

    def at(self, share: Fraction) -> Fraction:
        """Return A(p)."""
        return (1 - share) * self.clean + share * self.robust


class Reign(NamedTuple):
    """The range of p over which one entry is best."""

    line: Line
    start: Fraction
    end: Fraction


def candidates(catalogue: Catalogue, board: Board) -> list[Entry]:
    """Return the entries that can be chosen: alive, published and current; ranked or not."""
    return [
        entry
        for entry in board.entries
        if not entry.withheld and not entry.result.collapsed and catalogue.current(entry)
    ]


def lines(entries: Iterable[Entry], norm: Norm) -> list[Line]:
    """Return the lines of entries under the worst case of one norm."""
    return [
        Line(
            entry,
            rate(entry.result.clean.correct, entry.result.data.points),
            rate(entry.survivors(norm), entry.result.data.points),
        )
        for entry in entries
    ]


def envelope(found: Sequence[Line]) -> list[Reign]:
    """Return who wins from p = 0 to p = 1; of equal lines the smaller network wins, then the first id."""
    reigns: list[Reign] = []
    start = Fraction(0)
    rest = sorted(found, key=lambda line: (-line.clean, -line.robust, line.entry.result.pruning.nonzero, line.entry.id))
    while rest:
        best, rest = rest[0], rest[1:]
        gains = [(_crossing(best, line), line) for line in rest if line.robust - line.clean > best.robust - best.clean]
        later = [(share, line) for share, line in gains if share < 1]
        end = min((share for share, _ in later), default=Fraction(1))
        if end > start or not later:
            reigns.append(Reign(best, start, end))
        if not later:
            break
        # Of the lines that cross here, the one that falls slowest leads from here on.
        rest = sorted(
            (line for _, line in later),
            key=lambda line: (
                _crossing(best, line),
                -(line.robust - line.clean),
                line.entry.result.pruning.nonzero,
                line.entry.id,
            ),
        )
        start = end
    return reigns


def drawn(found: Sequence[Line], reigns: Sequence[Reign], share: Fraction, most: int) -> list[Line]:
    """Return the lines worth drawing: the winners, then the best others at one share of attacked traffic."""
    winners = [reign.line for reign in reigns][:most]
    others = sorted(
        (line for line in found if line not in winners),
        key=lambda line: (-line.at(share), line.entry.result.pruning.nonzero, line.entry.id),
    )
    return winners + others[: most - len(winners)]


def _crossing(best: Line, line: Line) -> Fraction:
    return (best.clean - line.clean) / ((best.clean - line.clean) + (line.robust - best.robust))

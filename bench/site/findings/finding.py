"""The contract of a question: a function of the catalogue that returns what its entries answer, or nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from bench.site.entries import Board, Catalogue, Entry
from bench.site.figures import under
from bench.site.mixture import candidates
from bench.submission.score import rate
from bench.submission.statistics import kendall

FEWEST = 5
"""Below it nothing is said of an order or a variance: two orders of four agree by chance once in 24."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One question and what the entries answer.

    Attributes:
        anchor: names it in an address.
        says: sentences, each of which follows from entries that are there.
        header, rows: the figures that the sentences rest on, as they are printed.
    """

    anchor: str
    question: str
    says: tuple[str, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def answered(
    anchor: str, question: str, says: Sequence[str], header: tuple[str, ...], rows: Sequence[tuple[str, ...]]
) -> Finding | None:
    """Return a finding; None where no sentence has evidence."""
    return Finding(anchor, question, tuple(says), header, tuple(rows)) if says else None


def descended(catalogue: Catalogue, board: Board) -> Iterator[tuple[Entry, Entry]]:
    """Yield each pruned entry that can be chosen with its parent, where that brings the norm and is published."""
    for entry in candidates(catalogue, board):
        parent = catalogue.parents.get(entry)
        if parent is not None and board.norm in parent.robust and not parent.withheld:
            yield entry, parent


def share(entry: Entry, board: Board) -> Fraction:
    """Return the robust accuracy of an entry, as best known."""
    return rate(entry.survivors(board.norm), entry.result.data.points)


def named(board: Board) -> str:
    """Name a board."""
    return under(board.protocol.title, board.norm, board.epsilon)


def order(pairs: Sequence[tuple[Fraction, Fraction]]) -> float | None:
    """Return Kendall's τ-b between two orders; None where either has too few different values to be one."""
    if any(len({pair[side] for pair in pairs}) < FEWEST for side in (0, 1)):
        return None
    return kendall([(float(one), float(other)) for one, other in pairs])


def spelt(agreement: float | None) -> str:
    """Spell a τ."""
    return "–" if agreement is None else f"{agreement:.2f}".replace("-", "−")

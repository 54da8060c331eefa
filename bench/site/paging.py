"""Which page of a board holds which entry."""

from functools import lru_cache

from bench.site.entries import Board, Entry

ROWS = 100
"""Rows of one page: more of them would be felt at every sort and every keystroke, and no one reads more at once."""


def address(board: Board, number: int) -> str:
    """Return where a page of a board lies on the site; the first one is number 1."""
    return board.address if number == 1 else f"{board.address.removesuffix('.html')}-{number}.html"


def holding(board: Board, entry: Entry) -> str:
    """Return the page that an entry of a board has its row on."""
    return address(board, _numbers(board)[entry])


@lru_cache(32)
def _numbers(board: Board) -> dict[Entry, int]:
    shown = [entry for band in board.bands for entry in band.entries]
    return {entry: place // ROWS + 1 for place, entry in enumerate(shown)}

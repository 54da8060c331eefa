"""Which page of a board holds which entry."""

from itertools import chain

from bench.site.entries import Board, Entry

ROWS = 100
"""Rows of one page: more of them would be felt at every sort and every keystroke, and no one reads more at once."""


def address(board: Board, number: int) -> str:
    """Return where a page of a board lies on the site; the first one is number 1."""
    return board.address if number == 1 else f"{board.address.removesuffix('.html')}-{number}.html"


def addresses(board: Board) -> dict[Entry, str]:
    """Return the page that each entry of a board has its row on."""
    entries = chain.from_iterable(band.entries for band in board.bands)
    return {entry: address(board, place // ROWS + 1) for place, entry in enumerate(entries)}

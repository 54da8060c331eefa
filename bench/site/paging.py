"""Which page of a board holds which entry."""

from itertools import takewhile

from bench.site.entries import Board, Entry

ROWS = 100
"""Rows of one page: more of them would be felt at every sort and every keystroke, and no one reads more at once."""


def address(board: Board, number: int) -> str:
    """Return where a page of a board lies on the site; the first one is number 1."""
    return board.address if number == 1 else f"{board.address.removesuffix('.html')}-{number}.html"


def holding(board: Board, entry: Entry) -> str:
    """Return the page that an entry of a board has its row on."""
    own = board.band(entry)
    before = takewhile(lambda band: band is not own, board.bands)
    return address(board, (sum(len(band.entries) for band in before) + own.entries.index(entry)) // ROWS + 1)

"""The pages of the boards: rows in parts that stay light, and all rows of a long board as one script."""

import json
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from bench.site import literature, paging, plots
from bench.site.draw import script_safe
from bench.site.entries import DENSE, Band, Board, Catalogue, Entry
from bench.site.exports import stamped
from bench.site.figures import in_words, interval, percent, thousands, threat
from bench.site.pages import Page
from bench.site.tables import Cell, Column, Row, columns, rows
from bench.submission.score import rate, wilson


def boards(catalogue: Catalogue) -> Iterator[Page]:
    """Yield the pages of every protocol and threat model; the first of a board carries its figures."""
    for board in catalogue.boards:
        yield from _board(catalogue, board)


def _board(catalogue: Catalogue, board: Board) -> Iterator[Page]:
    shown, found = columns(board), rows(catalogue, board)
    cells = [[column.cell(row) for column in shown] for row in found]
    channels = [line for band in board.channels for line in _channels(board, band)]
    last = -(-len(found) // paging.ROWS)
    files = _script(board, shown, found, cells) if last > 1 else {}
    about = _about(catalogue, board) | {"columns": shown, "last": last, "scripts": list(files)}
    for number in range(1, last + 1):
        part = slice((number - 1) * paging.ROWS, number * paging.ROWS)
        context = about | {
            "number": number,
            "rows": [_line(row, shown, line) for row, line in zip(found[part], cells[part], strict=True)],
            "part": _part(part.start, len(found[part]), len(found)),
            "pages": _links(board, number, last),
            "channels": channels[part],
            "channels_part": _part(part.start, len(channels[part]), len(channels)),
            "channels_count": f"{thousands(len(channels))} networks",
            "channels_pages": _links(board, number, -(-len(channels) // paging.ROWS)),
        }
        first = {"figures": plots.board_figures(catalogue, board), "limited": _limits(board)} if number == 1 else {}
        yield Page(paging.address(board, number), "board.html", context | first, board.address, files if first else {})


def _line(row: Row, shown: Sequence[Column], cells: Sequence[Cell]) -> dict[str, Any]:
    return {
        "id": row.entry.id,
        "ranked": row.entry in row.board.places,
        "band": row.entry.band,
        "cells": list(zip(shown, cells, strict=True)),
    }


def _about(catalogue: Catalogue, board: Board) -> dict[str, Any]:
    """Return what all pages of a board say."""
    siblings = [
        {"address": other.address, "threat": threat(other.norm, other.epsilon)}
        for other in catalogue.boards
        if other.protocol is board.protocol
    ]
    pruned = sum(not entry.dense for entry in board.entries)
    allowed = in_words(board.norm, board.epsilon)
    return {
        "protocol": board.protocol,
        "norm": board.norm.lower(),
        "under": threat(board.norm, board.epsilon),
        "allowed": allowed[0].upper() + allowed[1:],
        "attacks": ", ".join(board.protocol.cascade(board.norm)),
        "verdict": f"{thousands(len(board.places))} of {thousands(pruned)} pruned networks carry a rank.",
        "count": thousands(len(board.entries)),
        "page_rows": paging.ROWS,
        "heads": {band.label: _head(band) for band in board.bands},
        "siblings": siblings,
        "figures": [],
        "limited": "",
        "literature": literature.beside(catalogue, board),
    }


def _script(
    board: Board, shown: Sequence[Column], found: Sequence[Row], cells: Sequence[Sequence[Cell]]
) -> dict[str, bytes]:
    """Return ``window.ROWS = …`` by its address: all rows, column by column, each distinct cell written once."""
    up = "../" * board.address.count("/")
    written = {}
    for column, values in zip(shown, zip(*cells, strict=True), strict=True):
        places: dict[Cell, int] = {}
        at = [places.setdefault(cell, len(places)) for cell in values]
        written[column.key] = {"at": at, "cells": [_packed(cell, up) for cell in places]}
    document = {
        "ids": [row.entry.id for row in found],
        "ranked": [int(row.entry in board.places) for row in found],
        "heads": {band.label: [*_head(band).values()] for band in board.bands},
        "columns": written,
    }
    text = json.dumps(document, separators=(",", ":"), sort_keys=True, ensure_ascii=False, allow_nan=False)
    content = f"window.ROWS={script_safe(text)};\n".encode()
    return {stamped(f"{board.address.removesuffix('.html')}.rows.js", content): content}


def _packed(cell: Cell, up: str) -> list[str | int | float | None]:
    """Return text, order, small print and link, without what is missing at the end."""
    packed: list[str | int | float | None] = [
        cell.text,
        cell.order,
        cell.small,
        f"{up}{cell.link}" if cell.link else "",
    ]
    while packed[1:] and packed[-1] in {None, ""}:
        packed.pop()
    return packed


def _part(first: int, count: int, of: int) -> str:
    """Say which rows a page shows of more than it holds."""
    return f"Rows {thousands(first + 1)}–{thousands(first + count)} of " if count < of else ""


def _links(board: Board, number: int, last: int) -> list[dict[str, Any]]:
    """Return the links between the pages of a board: the one before, the first, those around, the last, the next."""
    if last < 2:
        return []
    near = [1, *range(max(2, number - 2), min(last, number + 3)), last]
    found: list[dict[str, Any]] = [{"label": "Previous", "address": paging.address(board, number - 1)}] * (number > 1)
    for before, there in zip([0, *near], near, strict=False):
        found += [{"label": "…", "address": ""}] * (there > before + 1)
        found.append({"label": str(there), "address": paging.address(board, there)})
    return found + [{"label": "Next", "address": paging.address(board, number + 1)}] * (number < last)


def _head(band: Band) -> dict[str, str]:
    """Return the heading of a band: what it holds, and how much of it is ranked."""
    count = f"{thousands(len(band.entries))} {'entry' if len(band.entries) == 1 else 'entries'}"
    if band.label == DENSE:
        return {"title": "Dense reference", "says": f"{count}, not ranked: what the others were pruned from"}
    return {
        "title": f"{band.label} of the weights pruned",
        "says": f"{count}, {thousands(len(band.places)) if band.places else 'none'} ranked",
    }


def _channels(board: Board, band: Band) -> Iterator[dict[str, str]]:
    """Yield a band of networks with channels removed, as rows of texts."""
    for entry in band.entries:
        survivors, points = entry.survivors(board.norm), entry.result.data.points
        yield {
            "label": band.label,
            "address": entry.address,
            "title": entry.title,
            "rank": str(band.places.get(entry, "–")),
            "robust": "withheld" if entry.withheld else percent(_share(entry, survivors)),
            "interval": "" if entry.withheld else interval(wilson(survivors, points)),
            "clean": percent(_share(entry, entry.result.clean.correct)),
            "removed": percent(entry.macs_removed),
            "sparsity": percent(entry.sparsity),
        }


def _share(entry: Entry, count: int) -> Fraction:
    return rate(count, entry.result.data.points)


def _limits(board: Board) -> str:
    found = []
    if not board.places and board.entries:
        found.append("Nothing is ranked yet: the first of a band is the best entry that was measured.")
    if len(board.entries) > plots.LINES:
        found.append(
            f"Curves show the first entry of each band, ladders the {plots.LADDERS} parents with most entries; the "
            "pages of the entries show theirs."
        )
    return " ".join(found)

"""What papers claim: grey pages of their own, never ranked, beside the boards that measure."""

import csv
import io
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from bench.site.downloads import plain
from bench.site.entries import Board, Catalogue
from bench.site.figures import interval, thousands, threat, under
from bench.site.tables import Cell
from bench.submission.literature import Claim, Literature, Setting
from bench.submission.schema import VerificationLevel
from bench.submission.score import wilson

_COLUMNS = (
    ("entry", "Method", "As the source names it.", ""),
    ("network", "Network", "Architecture, as the source names it.", "facet"),
    ("robust", "Robust %", "As written; the 95 % interval is computed here from the number of images.", "n"),
    ("clean", "Clean %", "As written.", "n"),
    ("sparsity", "Declared sparsity %", "Declared by the source, not counted here.", "n"),
    ("structure", "Structure", "The pattern of the zeros, as declared.", "facet"),
    ("data", "Data", "The data set.", "facet"),
    ("threat", "Threat model", "Norm and radius, as written.", "facet"),
    ("points", "Images", "Test images that were attacked.", "n"),
    ("attack", "Attack", "As the source names it.", "facet"),
    ("level", "Level", "How far others have checked it.", ""),
)
"""Key, header, explanation, and whether a column holds numbers or may be filtered by."""


def address(source: Literature) -> str:
    """Return where the page of a source lies on the site."""
    return f"literature/{source.id}.html"


def cards(catalogue: Catalogue) -> list[dict[str, str]]:
    """Return one line per source for the first page."""
    return [
        {"address": address(source), "title": source.title, "says": _extent(source)} for source in catalogue.literature
    ]


def beside(catalogue: Catalogue, board: Board) -> list[dict[str, str]]:
    """Return the sources that claim something about the data set and the norm of a board."""
    shown = []
    for source in catalogue.literature:
        found = {
            threat(setting.norm, setting.epsilon)
            for setting in source.settings
            if setting.data == board.protocol.data.dataset and setting.norm is board.norm
        }
        if found:
            shown.append({"address": address(source), "title": source.title, "threats": ", ".join(sorted(found))})
    return shown


def context(catalogue: Catalogue, source: Literature) -> dict[str, Any]:
    """Return what the page of a source prints."""
    lines = [
        {"id": setting.key(claim), "cells": list(zip(_COLUMNS, _cells(setting, claim), strict=True))}
        for setting, claim in source.claims
    ]
    boards = [
        {"address": board.address, "title": under(board.protocol.title, board.norm, board.epsilon)}
        for board in catalogue.boards
        if any(line["address"] == address(source) for line in beside(catalogue, board))
    ]
    return {"source": source, "extent": _extent(source), "columns": _COLUMNS, "rows": lines, "boards": boards}


def table(source: Literature) -> bytes:
    """Return the claims of a source as CSV, figures as written, text that no spreadsheet evaluates."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    records = list(_records(source))
    writer.writerow(records[0])
    for record in records:
        writer.writerow([plain(value) for value in record.values()])
    return text.getvalue().encode()


def record(source: Literature) -> dict[str, Any]:
    """Return a source for machines: where it was read, what is doubtful, what it claims."""
    return {
        "id": source.id,
        "title": source.title,
        "level": VerificationLevel.CLAIMED.value,
        "source": source.source.model_dump(mode="json"),
        "doubts": list(source.doubts),
        "claims": list(_records(source)),
    }


def _records(source: Literature) -> Iterator[dict[str, str | int]]:
    for setting, claim in source.claims:
        yield {
            "method": claim.method,
            "architecture": claim.architecture,
            "data": setting.data,
            "points": setting.points,
            "structure": claim.structure,
            "declared_sparsity_percent": claim.sparsity,
            "norm": setting.norm.value,
            "epsilon": setting.epsilon,
            "attack": setting.attack,
            "clean_percent": claim.clean,
            "robust_percent": claim.robust,
        }


def _cells(setting: Setting, claim: Claim) -> list[Cell]:
    survivors = round(Decimal(claim.robust) * setting.points / 100)
    return [
        Cell(claim.method),
        Cell(claim.architecture),
        Cell(claim.robust, float(claim.robust), interval(wilson(survivors, setting.points))),
        Cell(claim.clean),
        Cell(claim.sparsity),
        Cell(claim.structure),
        Cell(setting.data),
        Cell(threat(setting.norm, setting.epsilon)),
        Cell(thousands(setting.points), setting.points),
        Cell(setting.attack),
        Cell(VerificationLevel.CLAIMED.value),
    ]


def _extent(source: Literature) -> str:
    data = ", ".join(sorted({setting.data for setting in source.settings}))
    threats = ", ".join(sorted({threat(setting.norm, setting.epsilon) for setting in source.settings}))
    return f"{len(source.claims)} figures on {data} under {threats}"

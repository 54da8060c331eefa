"""The pages that span boards: explorer, compare, sweet spots, rules, changes, data."""

import hashlib
from collections.abc import Mapping
from datetime import date
from fractions import Fraction
from itertools import groupby
from typing import Any

from bench.protocol.load import Protocol
from bench.site import charts, frame, plots
from bench.site.downloads import changes, citation
from bench.site.draw import Drawing, Figure, draw
from bench.site.entries import Board, Catalogue, Entry, paired
from bench.site.figures import (
    in_words,
    interval,
    metric,
    p_value,
    percent,
    signed,
    symbol,
    thousands,
    threat,
    times,
    under,
)
from bench.site.findings.questions import findings
from bench.site.mixture import Line, Reign, candidates, drawn, envelope, lines
from bench.site.pages import Page
from bench.site.sweetspots import Ladder, ladders
from bench.site.tables import rank
from bench.site.tracks import released
from bench.submission.paired import Paired, enough, kept
from bench.submission.rules import RULES
from bench.submission.score import rate, wilson

COMPARED = 4
"""Entries that the compare page shows before a reader chooses."""


def explorer(catalogue: Catalogue) -> Page:
    """Return the scenario explorer; without scripts it answers for every board at its own radius."""
    answers, figures = [], []
    for board in catalogue.boards:
        found = lines(candidates(catalogue, board), board.norm)
        reigns = envelope(found)
        answers += [_reign(board, reign) for reign in reigns]
        if board is catalogue.boards[0] and reigns:
            figures.append(_scenario(board, found, reigns))
    context = {"answers": answers, "figures": figures, "default": catalogue.boards[0] if catalogue.boards else None}
    return Page("explorer.html", "explorer.html", context, "explorer.html")


def _reign(board: Board, reign: Reign) -> dict[str, Any]:
    entry = reign.line.entry
    return {
        "board": under(board.protocol.title, board.norm, board.epsilon),
        "range": f"{percent(reign.start)} – {percent(reign.end)} %",
        "entry": entry.title,
        "address": entry.address,
        "clean": percent(reign.line.clean),
        "robust": percent(reign.line.robust),
        "sparsity": percent(entry.sparsity),
    }


def _scenario(board: Board, found: list[Line], reigns: list[Reign]) -> Drawing:
    best = drawn(found, reigns, Fraction(1, 2), plots.LINES)
    names = plots.unique([line.entry for line in best])
    rows = [
        {"p": p, "accuracy": round(float(line.at(Fraction(p))), 6), "series": names[line.entry]}
        for line in best
        for p in (0, 1)
    ]
    crossings = [
        {
            "p": round(float(reign.start), 6),
            "accuracy": round(float(reign.line.at(reign.start)), 6),
            "says": f"from here {reign.line.entry.title}",
        }
        for reign in reigns[1:]
    ]
    ends = [(reign.start, reign.line) for reign in reigns] + [(Fraction(1), reigns[-1].line)]
    edge = [{"p": round(float(p), 6), "accuracy": round(float(line.at(p)), 6)} for p, line in ends]
    sets: dict[str, list[dict[str, Any]]] = {"lines": rows, "crossings": crossings, "best": edge, "here": [{"p": 0.5}]}
    figure = Figure(charts.scenario, sets)
    title = "Accuracy on mixed traffic"
    says = f"Lines A(p) under {threat(board.norm, board.epsilon)}: " + "; ".join(
        f"{reign.line.entry.title} is best from {percent(reign.start)} to {percent(reign.end)} %" for reign in reigns
    )
    return draw(figure, "scenario", title, f"{says}.", "explorer")


def compare(catalogue: Catalogue) -> Page:
    """Return the paired comparison; without scripts it compares the first entries of the first board."""
    context: dict[str, Any] = {"figures": [], "board": None, "header": [], "rows": [], "outcomes": []}
    published = [(board, [entry for entry in board.entries if not entry.withheld]) for board in catalogue.boards]
    board, shown = next(((board, found[:COMPARED]) for board, found in published if len(found) > 1), (None, []))
    if board is not None:
        names = list(plots.unique(shown).values())
        context |= {
            "board": board,
            "under": under(board.protocol.title, board.norm, board.epsilon),
            "header": [{"title": name, "address": entry.address} for name, entry in zip(names, shown, strict=True)],
            "rows": _metrics(board, shown),
            "outcomes": [_outcome(shown[0], entry, board) for entry in shown[1:]],
            "first": names[0],
            "figures": _compared(shown, board),
        }
    return Page("compare.html", "compare.html", context, "compare.html")


def _compared(shown: list[Entry], board: Board) -> list[Drawing]:
    drawn = [plots.differences(shown[0], shown[1:], board.norm, "compare")] if len(shown) > 1 else []
    with_curves = [entry for entry in shown if board.norm in entry.result.curves]
    return drawn + ([plots.curves(with_curves, board.norm, "compare", any_norm=True)] if with_curves else [])


def _metrics(board: Board, shown: list[Entry]) -> list[list[str]]:
    total = board.protocol.data.points

    def share(count: int) -> str:
        return f"{percent(rate(count, total))} ({interval(wilson(count, total))})"

    return [
        ["rank", *(rank(board, entry) for entry in shown)],
        ["level", *(entry.level.value for entry in shown)],
        ["robust %", *(share(entry.survivors(board.norm)) for entry in shown)],
        *(
            [
                f"{threat(rule.norm, rule.epsilon)} %",
                *(share(entry.survivors(rule.norm)) if rule.norm in entry.robust else "–" for entry in shown),
            ]
            for rule in board.protocol.threats
            if rule.norm is not board.norm and any(rule.norm in entry.robust for entry in shown)
        ),
        ["clean %", *(share(entry.result.clean.correct) for entry in shown)],
        ["sparsity %", *(percent(entry.sparsity) for entry in shown)],
        ["weights left", *(metric(entry.result.pruning.nonzero) for entry in shown)],
        ["MACs", *(metric(entry.result.pruning.nonzero_macs) for entry in shown)],
    ]


def _outcome(first: Entry, other: Entry, board: Board) -> list[str]:
    pair = paired(other, first, board.norm)
    ends = pair.interval
    return [
        other.title,
        thousands(pair.both),
        thousands(pair.first),
        thousands(pair.second),
        thousands(pair.neither),
        signed(pair.difference),
        f"{signed(ends.low)} to {signed(ends.high)}",
        p_value(pair.p_value),
        pair.verdict,
    ]


def sweet_spots(catalogue: Catalogue) -> Page:
    """Return how far each network can be compressed and is shown to keep its accuracies."""
    groups, drawn = [], []
    for board in catalogue.boards:
        found = ladders(catalogue, board)
        rows = [row for ladder in found for row in _spots(ladder)]
        title = under(board.protocol.title, board.norm, board.epsilon)
        if rows:
            anchor = f"{board.protocol.name}-{board.norm.lower()}"
            shown = sum(row["spot"] is not None for row in rows)
            together = sum(row["spot"] is not None and row["together"] != "–" for row in rows)
            says = (
                f"{shown} of {len(rows)} have a sweet spot, each on its own; {together} where all are claimed together."
            )
            groups.append({"title": title, "anchor": anchor, "rows": rows, "says": says})
        for number, ladder in enumerate(plots.tallest(found) if board.norm is board.protocol.threats[0].norm else []):
            drawn.append(plots.ladder(ladder, "sweet-spots", f"{board.protocol.name}-{number + 1}"))
    context = {"groups": groups, "figures": drawn, **stated()}
    return Page("sweet-spots.html", "sweet_spots.html", context, "sweet-spots.html")


def found(catalogue: Catalogue) -> Page:
    """Return what the entries say together."""
    return Page("findings.html", "findings.html", {"findings": findings(catalogue)}, "findings.html")


def stated() -> dict[str, str]:
    """Return the rules of the board as pages state them, in percent."""
    return {
        "again": f"{float(100 * RULES.again):g}",
        "kept_robust": f"{float(100 * RULES.kept_robust):g}",
        "kept_clean": f"{float(100 * RULES.kept_clean):g}",
        "needed_robust": str(enough(RULES.kept_robust)),
        "significance": f"{float(100 * RULES.significance):g}",
        "edges": ", ".join(f"{float(100 * edge):g}" for edge in RULES.bands),
    }


def _spots(ladder: Ladder) -> list[dict[str, Any]]:
    rows = []
    for recipe, spot in ladder.spots.items():
        tried = [entry for entry, line in ladder.rungs if line == recipe]
        mean = ladder.areas[recipe]
        row: dict[str, Any] = {
            "parent": ladder.parent.submission.name,
            "recipe": recipe,
            "tried": f"{len(tried)} up to {percent(tried[-1].sparsity)} %",
            "area": "–" if mean is None else f"{100 * mean:.1f}",
            "spot": None,
            "end": spot.end,
        }
        if spot.entry is not None and spot.robust is not None and spot.clean is not None:
            row |= {
                "spot": spot.entry.title,
                "address": spot.entry.address,
                "sparsity": percent(spot.entry.sparsity),
                "compression": times(spot.entry.compression),
                "robust": _kept(spot.robust),
                "clean": _kept(spot.clean),
                "together": times(spot.together.compression) if spot.together else "–",
            }
        rows.append(row)
    return rows


def _kept(pair: Paired) -> tuple[str, str]:
    share = rate(pair.both + pair.first, pair.both + pair.second)
    return percent(share), interval(kept(pair))


def rules(catalogue: Catalogue) -> Page:
    """Return the protocols, and what ranks, levels and intervals mean."""
    shown = [_protocol(protocol) for protocol in catalogue.protocols]
    boards = {protocol.name for protocol in catalogue.protocols}
    tracks = [(protocol, protocol.name in boards) for protocol in released()]
    context = {"protocols": shown, "tracks": tracks, **stated()}
    return Page("protocols.html", "protocols.html", context, "protocols.html")


def _protocol(protocol: Protocol) -> dict[str, Any]:
    threats = [
        {
            "title": threat(rule.norm, rule.epsilon),
            "words": in_words(rule.norm, rule.epsilon),
            "attacks": [
                (name, ", ".join(f"{key} {_spell(value)}" for key, value in protocol.attacks[name].items()) or "–")
                for name in protocol.cascade(rule.norm)
            ],
        }
        for rule in protocol.threats
    ]
    curves = [(symbol(curve.norm), ", ".join(str(epsilon) for epsilon in curve.epsilons)) for curve in protocol.curves]
    checks = [
        (name.replace("-", " "), ", ".join(f"{key.replace('_', ' ')} {value:g}" for key, value in bars.items()) or "–")
        for name, bars in sorted(protocol.checks.items())
    ]
    return {"protocol": protocol, "threats": threats, "curves": curves, "checks": checks}


def _spell(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def news(catalogue: Catalogue) -> Page:
    """Return everything that happened, newest first."""
    days = [(day, list(found)) for day, found in groupby(changes(catalogue), key=lambda change: change.date)]
    return Page("changes.html", "changes.html", {"days": days}, "changes.html")


def data(files: Mapping[str, bytes], notes: Mapping[str, str], updated: date | None) -> Page:
    """Return the list of what can be downloaded, with checksums, and how the benchmark is cited."""
    shown = [
        {
            "path": path,
            "says": notes.get(path, ""),
            "bytes": thousands(len(content)),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        for path, content in sorted(files.items())
    ]
    context = {"files": shown, "columns": frame.STORED, "citation": citation(updated)}
    return Page("data.html", "data.html", context, "data.html")

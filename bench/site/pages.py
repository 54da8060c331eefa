"""What each page shows: the contexts that the templates print."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from bench.site import literature, plots
from bench.site.downloads import badge, bibtex, changes
from bench.site.entries import Board, Catalogue, Entry, published
from bench.site.figures import in_words, interval, metric, p_value, percent, signed, thousands, threat
from bench.site.gallery import gallery
from bench.site.reproduce import commands
from bench.site.tables import Cell, columns, notes, rows
from bench.submission.check import POOLED
from bench.submission.schema import LatencyRecord, Normalisation, VerificationLevel
from bench.submission.score import Paired, rate, retention, wilson

_VERIFIED = {
    VerificationLevel.CLAIMED: "Quoted from a paper; nothing was measured here.",
    VerificationLevel.SELF_REPORTED: "Measured by its authors; nobody else has measured it again yet.",
}


@dataclass(frozen=True, slots=True)
class Page:
    """One page before it is printed."""

    address: str
    template: str
    context: dict[str, Any]
    section: str = ""
    """The address that the navigation marks as current."""


def home(catalogue: Catalogue) -> Page:
    """Return the first page."""
    grouped = [
        (protocol, [_card(board) for board in catalogue.boards if board.protocol is protocol])
        for protocol in catalogue.protocols
    ]
    news = [change._asdict() for change in changes(catalogue)[:6]]
    drawn = [plots.pareto(catalogue.boards[0], "nonzero", "home")] if catalogue.boards else []
    context = {"boards": grouped, "changes": news, "figures": drawn, "literature": literature.cards(catalogue)}
    return Page("index.html", "home.html", context, "index.html")


def _card(board: Board) -> dict[str, Any]:
    ranked, leader = len(board.places), board.leader
    total = len(board.entries)
    card = {
        "address": board.address,
        "threat": threat(board.norm, board.epsilon),
        "count": f"{ranked} of {total} entries ranked",
        "leader": None,
    }
    if leader is not None:
        survivors, points = leader.survivors(board.norm), leader.result.data.points
        card |= {"leader": leader.title, "robust": percent(rate(survivors, points))}
        card |= {"interval": interval(wilson(survivors, points))}
    return card


def boards(catalogue: Catalogue) -> Iterator[Page]:
    """Yield one page per protocol and threat model."""
    for board in catalogue.boards:
        yield _board(catalogue, board)


def _board(catalogue: Catalogue, board: Board) -> Page:
    shown = columns(board)
    lines = [
        {
            "id": row.entry.id,
            "ranked": row.entry in board.places,
            "cells": [(column, column.cell(row)) for column in shown],
        }
        for row in rows(catalogue, board)
    ]
    siblings = [
        {"address": other.address, "threat": threat(other.norm, other.epsilon)}
        for other in catalogue.boards
        if other.protocol is board.protocol
    ]
    ranked = len(board.places)
    allowed = in_words(board.norm, board.epsilon)
    context = {
        "protocol": board.protocol,
        "norm": board.norm.lower(),
        "under": threat(board.norm, board.epsilon),
        "allowed": allowed[0].upper() + allowed[1:],
        "attacks": ", ".join(board.protocol.cascade(board.norm)),
        "verdict": f"{ranked} of {len(lines)} entries carry a rank.",
        "siblings": siblings,
        "columns": shown,
        "rows": lines,
        "figures": plots.board_figures(catalogue, board),
        "limited": _limits(board),
        "literature": literature.beside(catalogue, board),
    }
    return Page(board.address, "board.html", context, board.address)


def _limits(board: Board) -> str:
    if len(board.entries) <= plots.LINES:
        return ""
    return (
        f"Curves show the first {plots.LINES} ranked entries, ladders the {plots.LADDERS} parents with most entries; "
        "the pages of the entries show theirs."
    )


def quoted(catalogue: Catalogue) -> Iterator[Page]:
    """Yield one page per source of quoted figures."""
    for source in catalogue.literature:
        context = literature.context(catalogue, source)
        yield Page(literature.address(source), "literature.html", context, "index.html")


def entries(catalogue: Catalogue) -> Iterator[Page]:
    """Yield one page per entry."""
    for entry in catalogue:
        yield _entry(catalogue, entry)


def _entry(catalogue: Catalogue, entry: Entry) -> Page:
    result, pruning = entry.result, entry.result.pruning
    correct, total = result.clean.correct, result.data.points
    standing = [_standing(board, entry) for board in catalogue.boards if board.protocol is entry.protocol]
    first = entry.protocol.threats[0].norm
    context = {
        "entry": entry,
        "verified": _verified(entry),
        "doubts": notes(catalogue, entry) + [flag.says for flag in result.flags if flag.says],
        "clean": {"text": percent(rate(correct, total)), "small": interval(wilson(correct, total))},
        "standing": standing,
        "sparsity": percent(entry.sparsity),
        "size": f"{metric(pruning.nonzero)} weights left of {metric(pruning.parameters)}",
        "figures": plots.entry_figures(catalogue, entry),
        "gallery": gallery(entry),
        "tables": _tables(catalogue, entry),
        "command": commands(catalogue, entry),
        "bibtex": bibtex(entry),
        "files": published(entry),
        "badge": badge(entry, first)[0],
        "history": _history(catalogue, entry),
    }
    return Page(entry.address, "entry.html", context)


def _tables(catalogue: Catalogue, entry: Entry) -> list[dict[str, Any]]:
    made = [_against_parent(catalogue, entry), _attacks(entry), _scenarios(entry), *_provenance(catalogue, entry)]
    return [table for table in made if table["rows"]]


def _standing(board: Board, entry: Entry) -> dict[str, Any]:
    survivors, points, place = entry.survivors(board.norm), entry.result.data.points, board.places.get(entry)
    shown = not entry.withheld
    return {
        "address": board.address,
        "threat": threat(board.norm, board.epsilon),
        "robust": percent(rate(survivors, points)) if shown else "withheld",
        "interval": interval(wilson(survivors, points)) if shown else "",
        "place": f"rank {place} of {len(board.places)}" if place else "not ranked",
    }


def _verified(entry: Entry) -> str:
    found = entry.verification
    if found is None:
        return _VERIFIED[entry.level]
    return f"By {found.by} on {found.date}. {found.says}"


def _against_parent(catalogue: Catalogue, entry: Entry) -> dict[str, Any]:
    parent, lines = catalogue.parents.get(entry), []
    if parent is not None and not entry.withheld and not parent.withheld:
        lines.append(_pair("clean", Paired.of(entry.correct, parent.correct), None))
        for norm in entry.robust:
            pair = Paired.of(entry.robust[norm], parent.robust[norm])
            kept = retention(entry.survivors(norm), parent.survivors(norm))
            lines.append(_pair(threat(norm, entry.protocol.threat(norm).epsilon), pair, kept))
    name = parent.title if parent else ""
    return {
        "title": "Against the dense parent",
        "says": f"Point by point against {name}; exact McNemar test, 95 % interval of the paired difference.",
        "header": [
            "threat model",
            "difference, points",
            "95 % interval",
            "only here",
            "only parent",
            "p",
            "verdict",
            "retention %",
        ],
        "numbers": {1, 2, 3, 4, 5, 7},
        "rows": lines,
    }


def _pair(name: str, pair: Paired, kept: Any) -> list[str]:
    ends = pair.interval
    return [
        name,
        signed(pair.difference),
        f"{signed(ends.low)} to {signed(ends.high)}",
        thousands(pair.first),
        thousands(pair.second),
        p_value(pair.p_value),
        plots.verdict(pair),
        "–" if kept is None else percent(kept),
    ]


def _attacks(entry: Entry) -> dict[str, Any]:
    lines = []
    for record in entry.result.threats if not entry.withheld else ():
        for attack in record.attacks:
            name = "witnesses of other norms" if attack.name == POOLED else attack.name
            counts = (attack.attempted, attack.broken, attack.rejected, attack.forwards, attack.backwards)
            lines.append([threat(record.norm, record.epsilon), name, *map(thousands, counts)])
    return {
        "title": "The cascade",
        "says": "Each attack runs on the points that still stand; rejected candidates fool from outside the ball.",
        "header": ["threat model", "attack", "attempted", "broken", "rejected", "forward passes", "backward passes"],
        "numbers": {2, 3, 4, 5, 6},
        "rows": lines,
    }


def _scenarios(entry: Entry) -> dict[str, Any]:
    total, lines = entry.result.data.points, []
    for name, record in sorted(entry.result.scenarios.items()) if not entry.withheld else ():
        for norm, robust in sorted(record.robust.items()):
            ends = interval(wilson(robust, total))
            worst = percent(rate(entry.survivors(norm), total)) if norm in entry.robust else "–"
            lines.append(
                [name, threat(norm, entry.protocol.threat(norm).epsilon), percent(rate(robust, total)), ends, worst]
            )
    return {
        "title": "When the adversary knows less",
        "says": "Transfer: images crafted on the dense parent. Black-box: queries only. Last column: the worst case.",
        "header": ["scenario", "threat model", "robust %", "95 % interval", "white-box %"],
        "numbers": {2, 3, 4},
        "rows": lines,
    }


def _provenance(catalogue: Catalogue, entry: Entry) -> Iterator[dict[str, Any]]:
    result, pruning, submission = entry.result, entry.result.pruning, entry.submission
    model, parent = result.model, catalogue.parents.get(entry)
    passes = f"{thousands(result.cost.forwards)} and {thousands(result.cost.backwards)}"
    lines = [
        ["authors", ", ".join(submission.authors)],
        ["licence", submission.licence],
        ["weights", Cell(submission.weights.locator, link=_address(submission.weights.locator))],
        ["sha256 of the weights file", model.file_sha256 or "none: the weights are not a file of their own"],
        ["sha256 of the tensors", model.weights_sha256],
        ["bytes", thousands(submission.weights.bytes)],
        ["network", f"{model.ref}, {model.architecture}"],
        ["input normalisation", _normalisation(model.normalisation)],
        ["dense parent", Cell(model.parent or "none: this is a dense network", link=parent.address if parent else "")],
        ["sha256 of the parent's tensors", model.parent_sha256 or "none"],
        ["recipe", f"{pruning.recipe} (version {pruning.version}), {pruning.structure}, scope {pruning.scope}"],
        ["regime", pruning.regime],
        ["target sparsity", pruning.target or "none"],
        ["zeros", f"{thousands(pruning.zeros)} of {thousands(pruning.prunable)} prunable weights"],
        ["compression", f"{_times(entry.compression)}; {_times(entry.connected_compression)} without dead weights"],
        ["latency", _latency(result.cost.latency)],
        ["MACs", f"{thousands(pruning.nonzero_macs)} non-zero, {thousands(pruning.macs)} in all"],
        ["size", f"{thousands(pruning.bytes_plain)} bytes plain, {thousands(pruning.bytes_packed)} packed"],
        ["protocol", f"{result.protocol.name}, digest {result.protocol.digest}"],
        ["data", f"{result.data.points} points of {result.data.name} {result.data.split}, digest {result.data.digest}"],
        ["engine and seed", f"{result.engine}, {result.seed}"],
        ["batch size", "free: verdicts do not depend on it" if result.batch_size is None else str(result.batch_size)],
        ["cost", f"{result.cost.seconds:.0f} s, {passes} passes forward and backward"],
        ["extra training data", "yes" if submission.extra_data else "no"],
    ]  # fmt: skip
    lines += [["description", submission.description]] if submission.description else []
    yield {"title": "Provenance", "says": "", "header": [], "numbers": set(), "rows": lines}
    environment = [[name, value] for name, value in sorted(result.environment.items())]
    yield {"title": "Environment", "says": "", "header": [], "numbers": set(), "rows": environment}
    flags = [
        [flag.check.replace("-", " "), flag.level.value, _figure(flag.figure), _figure(flag.threshold), flag.says]
        for flag in result.flags
    ]
    header = ["check", "level", "figure", "threshold", "in words"]
    yield {"title": "Flags", "says": "", "header": header, "numbers": {2, 3}, "rows": flags}


def _times(rate: Fraction | None) -> str:
    return "nothing is left" if rate is None else f"{float(rate):.2f}×"


def _latency(timed: LatencyRecord | None) -> str:
    if timed is None:
        return "not claimed: zeros alone make no network faster"
    clock = "of one thread" if timed.clock == "processor" else "of the accelerator"
    return f"{timed.times_faster:.2f}× faster to attack than its parent, by the time {clock}"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def _normalisation(given: Normalisation | None) -> str:
    if given is None:
        return "the model's own"
    mean, std = (", ".join(map(repr, values)) for values in (given.mean, given.std))
    return f"mean {mean}; standard deviation {std}"


def _address(locator: str) -> str:
    """Return the address that a locator is, or nothing for one in words."""
    return locator if locator.startswith("https://") else ""


def _history(catalogue: Catalogue, entry: Entry) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"date": entry.submission.date, "says": "Submitted.", "address": "", "name": ""}]
    if entry.verification:
        says = f"Verified as {entry.verification.level} by {entry.verification.by}."
        found.append({"date": entry.verification.date, "says": says, "address": "", "name": ""})
    newer = catalogue.superseded.get(entry)
    if newer is not None:
        link = {"address": newer.address, "name": newer.id}
        found.append({"date": newer.submission.date, "says": "Superseded by", **link})
    for older in (old for old, new in catalogue.superseded.items() if new is entry):
        link = {"address": older.address, "name": older.id}
        found.append({"date": entry.submission.date, "says": "Supersedes", **link})
    return sorted(found, key=lambda change: str(change["date"]))

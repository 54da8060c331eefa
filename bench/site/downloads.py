"""What readers take away: tables as CSV and JSON, citations, badges, the feed, checksums."""

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple
from xml.sax.saxutils import escape, quoteattr

from bench.protocol.load import Protocol
from bench.site.entries import Catalogue, Entry
from bench.site.figures import percent, threat
from bench.site.tables import notes
from bench.submission.files import RESULT_FILE, SUBMISSION_FILE, VERIFICATION_FILE, WEIGHTS_FILE, WITHDRAWAL_FILE
from bench.submission.ranks import Place
from bench.submission.schema import ThreatRecord
from bench.submission.score import rate, wilson
from bench.threats import Norm
from bench.version import __version__


class Change(NamedTuple):
    """Something that happened to the board."""

    date: date
    says: str
    name: str
    address: str
    key: str
    protocol: str
    level: str
    """That a verification has lifted the entry to; empty for a submission."""


def published(entry: Entry) -> list[str]:
    """Return the names of the files that the site hands out; the arrays stay in the submissions."""
    known = [SUBMISSION_FILE, RESULT_FILE, WEIGHTS_FILE, VERIFICATION_FILE, WITHDRAWAL_FILE]
    known += [f"challenge-{challenge.name}.json" for challenge in entry.challenges]
    return [name for name in known if (entry.path / name).exists()]


def changes(catalogue: Catalogue) -> list[Change]:
    """Return what happened, newest first."""
    found = []
    for entry in catalogue:
        name, where, title = entry.title, entry.address, entry.protocol.title
        key = f"{entry.protocol.name}/{entry.id}"
        says = "Supersedes an earlier entry:" if entry.submission.supersedes else "New entry:"
        found.append(Change(entry.submission.date, says, name, where, f"{key}/submitted", title, ""))
        if entry.verification:
            says = f"Now {entry.verification.level}, by {entry.verification.by}:"
            level = entry.verification.level.value
            found.append(Change(entry.verification.date, says, name, where, f"{key}/{level}", title, level))
        for challenge in entry.challenges:
            says = f"Lowered by the challenge {challenge.name}, confirmed by {challenge.by}:"
            found.append(Change(challenge.date, says, name, where, f"{key}/challenge-{challenge.name}", title, ""))
        if entry.withdrawal:
            says = f"Withdrawn by {entry.withdrawal.by}:"
            found.append(Change(entry.withdrawal.date, says, name, where, f"{key}/withdrawn", title, ""))
    return sorted(found, key=lambda change: (-change.date.toordinal(), change.key))


def record(catalogue: Catalogue, entry: Entry) -> dict[str, Any]:
    """Return an entry as plain counts, for machines."""
    result, pruning = entry.result, entry.result.pruning
    parent = catalogue.parents.get(entry)
    boards = [board for board in catalogue.boards if entry in board.places]
    ranks = {board.norm: board.places[entry] for board in boards}
    return {
        "id": entry.id,
        "protocol": entry.protocol.name,
        "name": entry.submission.name,
        "method": entry.submission.method,
        "date": entry.submission.date.isoformat(),
        "level": entry.level.value,
        "unranked": catalogue.unranked(entry),
        "address": entry.address,
        "parent": parent.id if parent else None,
        "architecture": result.model.architecture,
        "recipe": pruning.recipe,
        "structure": pruning.structure,
        "regime": pruning.regime,
        "target": pruning.target,
        "zeros": pruning.zeros,
        "prunable": pruning.prunable,
        "nonzero": pruning.nonzero,
        "parameters": pruning.parameters,
        "macs": pruning.macs,
        "nonzero_macs": pruning.nonzero_macs,
        "parent_macs": pruning.parent_macs,
        "bytes_plain": pruning.bytes_plain,
        "bytes_packed": pruning.bytes_packed,
        "weights_sha256": result.model.weights_sha256,
        "protocol_digest": result.protocol.digest,
        "points": result.data.points,
        "clean": result.clean.correct,
        "epsilon": {threat.norm.value: threat.epsilon for threat in result.threats},
        "forwards": {threat.norm.value: _total(threat, "forwards") for threat in result.threats},
        "backwards": {threat.norm.value: _total(threat, "backwards") for threat in result.threats},
        "best_known": {norm.value: None if entry.withheld else entry.survivors(norm) for norm in entry.robust},
        "robust": {threat.norm.value: None if entry.withheld else threat.robust for threat in result.threats},
        "scenarios": {}
        if entry.withheld
        else {
            name: {norm.value: count for norm, count in found.robust.items()}
            for name, found in result.scenarios.items()
        },
        "band": entry.band,
        "rank": {norm.value: ranks[norm]._asdict() if norm in ranks else None for norm in entry.robust},
        "notes": notes(catalogue, entry),
    }


def _total(threat: ThreatRecord, passes: str) -> int:
    return sum(getattr(attack, passes) for attack in threat.attacks)


def table(catalogue: Catalogue, protocol: Protocol) -> bytes:
    """Return the entries of a protocol as CSV; text that a spreadsheet could take for a formula is quoted."""
    words = ["id", "name", "method", "date", "level", "unranked", "parent", "architecture", "recipe", "structure"]
    words += ["regime", "target", "band"]
    counts = ["zeros", "prunable", "nonzero", "nonzero_macs", "bytes_packed", "points", "clean"]
    norms = [threat.norm for threat in protocol.threats]
    header = words + counts
    for norm in norms:
        header += [f"best_known_{norm}", f"best_known_{norm}_low", f"best_known_{norm}_high", f"robust_{norm}"]
        header += [f"rank_{norm}", f"rank_{norm}_best", f"rank_{norm}_worst"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for entry in catalogue.by_protocol[protocol.name]:
        values = record(catalogue, entry)
        line: list[Any] = [plain(values[key]) for key in words] + [values[key] for key in counts]
        for norm in norms:
            best, robust = (values[key].get(norm.value) for key in ("best_known", "robust"))
            ends = ("", "") if best is None else (f"{end:.6f}" for end in wilson(best, values["points"]))
            place = values["rank"].get(norm.value) or dict.fromkeys(Place._fields, "")
            line += [_cell(best), *ends, _cell(robust), *place.values()]
        writer.writerow(line)
    return text.getvalue().encode()


def _cell(count: int | None) -> int | str:
    return "" if count is None else count


def plain(value: object) -> str:
    """Return text that no spreadsheet evaluates."""
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


def bibtex(entry: Entry) -> str:
    """Return the citation of an entry."""
    submission = entry.submission
    fields = {
        "title": f"{submission.name}: {entry.variant}",
        "author": " and ".join(submission.authors),
        "year": str(submission.date.year),
        "note": f"prunebench entry {entry.id} under {entry.protocol.name} ({entry.result.protocol.digest[:12]})",
    }
    if submission.paper:
        fields["url"] = submission.paper
    body = "".join(f"  {key} = {{{_latex(value) if key != 'url' else value}}},\n" for key, value in fields.items())
    return f"@misc{{prunebench-{entry.id},\n{body}}}\n"


def citation(updated: date | None) -> str:
    """Return the citation of the benchmark, of the year of its newest entry."""
    fields = {
        "title": "prunebench: a benchmark and leaderboard for the adversarial robustness of pruned image classifiers",
        "author": "{The prunebench maintainers}",
        **({"year": str(updated.year)} if updated else {}),
        "version": __version__,
    }
    return "@software{prunebench,\n" + "".join(f"  {key} = {{{value}}},\n" for key, value in fields.items()) + "}\n"


def badge(entry: Entry, norm: Norm) -> tuple[str, bytes]:
    """Return what a badge says and the badge."""
    left = threat(norm, entry.protocol.threat(norm).epsilon)
    share = percent(rate(entry.survivors(norm), entry.result.data.points))
    right = f"{'withheld' if entry.withheld else f'{share} % robust'}, {entry.level.value}"
    widths = [round(6.4 * len(text)) + 14 for text in (left, right)]
    total = sum(widths)
    says = f"{left}: {right}"
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="20" role="img" aria-label={quoteattr(says)}>'
        f"<title>{escape(says)}</title>"
        f'<rect width="{total}" height="20" rx="3" fill="#1257a8"/>'
        f'<path d="M3 0h{widths[0] - 3}v20H3a3 3 0 0 1-3-3V3a3 3 0 0 1 3-3z" fill="#33393f"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{widths[0] / 2:g}" y="14" textLength="{widths[0] - 12}">{escape(left)}</text>'
        f'<text x="{widths[0] + widths[1] / 2:g}" y="14" textLength="{widths[1] - 12}">{escape(right)}</text>'
        "</g></svg>\n"
    )
    return says, svg.encode()


def feed(found: Sequence[Change], base: str) -> bytes:
    """Return the changes as an Atom feed; its ids never change, whatever the host."""
    newest = found[0].date.isoformat() if found else "1970-01-01"
    parts = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<feed xmlns="http://www.w3.org/2005/Atom">',
        "<title>prunebench: changes</title>",
        f"<id>tag:prunebench,2026:changes</id><updated>{newest}T00:00:00Z</updated>",
        f'<author><name>prunebench</name></author><link rel="alternate" href={quoteattr(base + "changes.html")}/>',
    ]
    for change in found[:50]:
        title = escape(f"{change.says} {change.name}")
        parts.append(
            f"<entry><title>{title}</title><id>tag:prunebench,2026:{escape(change.key)}</id>"
            f"<updated>{change.date.isoformat()}T00:00:00Z</updated><link href={quoteattr(base + change.address)}/>"
            "</entry>"
        )
    return ("\n".join([*parts, "</feed>"]) + "\n").encode()


def checksums(files: Mapping[str, bytes]) -> bytes:
    """Return a SHA256SUMS over files, as ``sha256sum --check`` reads it."""
    lines = [f"{hashlib.sha256(content).hexdigest()}  {path}\n" for path, content in sorted(files.items())]
    return "".join(lines).encode()


def _latex(text: str) -> str:
    return "".join(f"\\{sign}" if sign in "&%$#_{}" else sign for sign in text.replace("\\", " "))

"""The released protocols as a table of Markdown, made of the files that hold their rules."""

from bench.protocol.load import Protocol, load, names
from bench.protocol.points import Pinned
from bench.site.figures import SYMBOLS

MARK = "<!-- tracks -->"
"""Where the table stands in the document."""


def released() -> list[Protocol]:
    """Return every released protocol that ships, by name."""
    return [protocol for protocol in map(load, names()) if protocol.status == "released"]


def table() -> str:
    """Return one row for each released protocol: data, points, radii and what pins the points."""
    norms = list(SYMBOLS)
    head = ["Track", "Data set", "Points", *(SYMBOLS[norm] for norm in norms), "Held out", "Calibration", "Pinned by"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for rules in released():
        radii = {threat.norm: str(threat.epsilon) for threat in rules.threats}
        cells = [
            f"`{rules.name}`: {rules.summary}",
            f"`{rules.data.dataset}`",
            _ids(rules.data.split, rules.data),
            *(radii.get(norm, "–") for norm in norms),
            "–" if rules.held_out is None else _ids(rules.held_out.split, rules.held_out),
            _ids(rules.calibration.split, rules.calibration),
            _pin(rules.data),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def document(text: str) -> str:
    """Return the document about tracks with the table in its place."""
    return text.replace(MARK, table())


def _ids(split: str, points: Pinned) -> str:
    return f"{points.points:,}: {split} {points.first}:{points.ids.stop}"


def _pin(points: Pinned) -> str:
    if points.digest is not None:
        return f"digest `{points.digest[:12]}…`"
    return ", ".join(f"`{name}` {digest}" for name, digest in sorted(points.files.items()))

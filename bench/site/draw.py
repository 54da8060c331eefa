"""Turns chart definitions and rows into specifications, which are drawn at build and by the runtime of the pages."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import vl_convert

VEGA_LITE = "6.4"
"""The version that is compiled with; pinned because it decides the bytes."""
FONT = "Liberation Sans"
"""Carried by vl-convert itself, so text has the same width on every machine; pages override it on screen."""


_PAIR = re.compile(r"\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}")
"""A character beyond the basic plane, as JSON escapes it."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A definition with the rows of its data sets."""

    define: Callable[..., Any]
    rows: Mapping[str, Iterable[Mapping[str, Any]]]
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drawing:
    """One figure, ready to be drawn."""

    name: str
    title: str
    says: str
    """What the figure shows, for those who cannot see it."""
    spec: str
    """Vega, as JSON."""
    address: str
    """Where it lies on the site as a file of its own, without the ending that says of which kind."""


def draw(figure: Figure, name: str, title: str, says: str, page: str) -> Drawing:
    """Fill a definition with its rows."""
    vega = _compiled(figure.define, figure.options)
    data = [
        {**part, "values": list(figure.rows[part["name"]])} if part["name"] in figure.rows else part
        for part in vega["data"]
    ]
    if missing := set(figure.rows) - {part["name"] for part in data}:
        raise ValueError(f"{figure.define.__name__} has no data set called {', '.join(sorted(missing))}")
    filled = {**vega, "data": data}
    # the font that figures are laid out with has no narrow space
    spec = json.dumps(filled, separators=(",", ":"), sort_keys=True).replace("\\u202f", "\\u00a0")
    spec = _PAIR.sub("\\\\u25a1", spec)
    return Drawing(name, title, says, spec, f"figures/{page}-{name}")


def labels(names: Sequence[str], marks: Sequence[str]) -> list[str]:
    """Return names as figures print them, each of its own; where two would look alike, their marks tell them apart.

    What lies beyond the basic plane, emoji above all, becomes a box: the font has no other sign for it, and a renderer
    that shortens text cuts between the halves of such characters.
    """
    drawn = ["".join("□" if sign > "\uffff" else sign for sign in name) for name in names]
    found: list[str] = []
    for name, mark in zip(drawn, marks, strict=True):
        label = name if drawn.count(name) == 1 else f"{name} ({mark})"
        while label in found:
            label += "′"
        found.append(label)
    return found


@cache
def _compiled(define: Callable[..., Any], options: tuple[str, ...]) -> dict[str, Any]:
    """Compile a definition once; filling its data sets is all that a figure needs."""
    lite = define(*options).to_dict()
    lite["config"] = _CONFIG
    vega: dict[str, Any] = vl_convert.vegalite_to_vega(lite, vl_version=VEGA_LITE)
    return vega


def script_safe(text: str) -> str:
    """Escape JSON for a script element."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


_CONFIG: dict[str, Any] = {
    "background": None,
    "font": FONT,
    "aria": False,
    "padding": 4,
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--muted)",
        "titleColor": "var(--ink)",
        "titleFontWeight": "normal",
        "titleFontSize": 12,
        "titlePadding": 8,
        "labelFontSize": 11,
        "gridColor": "var(--line)",
        "gridWidth": 0.7,
        "domain": False,
        "ticks": False,
        "labelPadding": 6,
    },
    "axisX": {"grid": False, "domain": True, "domainColor": "var(--muted)"},
    "legend": {
        "labelColor": "var(--ink)",
        "titleColor": "var(--muted)",
        "titleFontWeight": "normal",
        "labelFontSize": 11,
        "titleFontSize": 11,
        "symbolSize": 60,
        "labelLimit": 260,
        "orient": "bottom",
        "columns": 2,
        "layout": {"bottom": {"direction": "vertical", "anchor": "start", "margin": 2}},
    },
    "header": {
        "labelColor": "var(--ink)",
        "labelFontSize": 12,
        "titleColor": "var(--muted)",
        "labelFontWeight": "bold",
    },
    "title": {"color": "var(--ink)", "fontSize": 13, "anchor": "start", "fontWeight": "normal"},
    "bar": {"color": "var(--accent)"},
    "line": {"strokeWidth": 2},
    "rule": {"color": "var(--muted)"},
    "text": {"color": "var(--ink)", "fontSize": 11},
    "point": {"size": 55, "opacity": 1},
}

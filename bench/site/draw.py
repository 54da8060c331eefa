"""Turns chart definitions and rows into specifications, which are drawn at build and by the runtime of the pages."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import vl_convert

from bench.site.sketch import sketch

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
    define: Callable[..., Any]
    options: tuple[str, ...]
    rows: str
    """Its data sets by name, each as columns, as JSON."""
    key: str
    """What ``bench figure`` knows it by: its page and its name."""
    small: str | None
    """A small SVG of it, where its definition has one."""

    @property
    def kind(self) -> str:
        """What figures share that differ in their rows alone."""
        return " ".join([self.define.__name__, *self.options])

    @property
    def spec(self) -> str:
        """Vega with its rows, as JSON."""
        vega, sets = compiled(self.define, self.options), json.loads(self.rows)
        rows = {
            name: [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
            for name, columns in sets.items()
        }
        data = [{**part, "values": rows[part["name"]]} if part["name"] in rows else part for part in vega["data"]]
        return _plain({**vega, "data": data})


def draw(figure: Figure, name: str, title: str, says: str, page: str) -> Drawing:
    """Fill a definition with its rows."""
    rows = {part: list(values) for part, values in figure.rows.items()}
    vega = compiled(figure.define, figure.options)
    if missing := set(rows) - {part["name"] for part in vega["data"]}:
        raise ValueError(f"{figure.define.__name__} has no data set called {', '.join(sorted(missing))}")
    columns = {
        part: {key: [row.get(key) for row in values] for key in dict.fromkeys(key for row in values for key in row)}
        for part, values in rows.items()
    }
    small = sketch(figure.define, figure.options, rows)
    return Drawing(name, title, says, figure.define, figure.options, _plain(columns), f"{page}/{name}", small)


def definitions(drawings: Iterable[Drawing]) -> bytes:
    """Return the script that holds, once for all pages, the definitions whose rows stand in these."""
    kinds = {drawing.kind: compiled(drawing.define, drawing.options) for drawing in drawings}
    return f"window.BENCH_CHARTS={script_safe(_plain(kinds))};\n".encode()


def _plain(content: Mapping[str, Any]) -> str:
    # the font that figures are laid out with has no narrow space
    text = json.dumps(content, separators=(",", ":"), sort_keys=True).replace("\\u202f", "\\u00a0")
    return _PAIR.sub("\\\\u25a1", text)


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
def compiled(define: Callable[..., Any], options: tuple[str, ...]) -> dict[str, Any]:
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

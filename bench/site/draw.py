"""Turns chart definitions into SVG for paper and scriptless readers, and into specifications for the runtime."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import vl_convert

VEGA_LITE = "6.4"
"""The version that is compiled with; pinned because it decides the bytes."""
FONT = "Liberation Sans"
"""Carried by vl-convert itself, so text has the same width on every machine; pages override it on screen."""
_LIGHT = {
    "--ink": "#1c2024",
    "--muted": "#5f6770",
    "--line": "#d9dde1",
    "--paper": "#ffffff",
    "--accent": "#1257a8",
    "--band": "#dbe6f4",
    "--c1": "#1257a8",
    "--c2": "#b4540a",
    "--c3": "#23765a",
    "--c4": "#8a3d8f",
    "--c5": "#6b6f00",
    "--c6": "#a3263c",
}
"""The colours of site.css, for files that stand alone."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A definition with the rows of its data sets."""

    define: Callable[..., Any]
    rows: Mapping[str, Iterable[Mapping[str, Any]]]
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drawing:
    """One figure, ready for a page."""

    name: str
    title: str
    says: str
    """What the figure shows, for those who cannot see it."""
    svg: str
    spec: str
    """Vega, as JSON, for the runtime."""
    file: str
    """Where the SVG with colours of its own lies on the site."""

    @property
    def alone(self) -> bytes:
        """The SVG with colours of its own."""
        text = re.sub(r"var\((--[a-z0-9]+)\)", lambda found: _LIGHT[found[1]], self.svg)
        return text.replace("<svg ", f'<svg role="img" aria-label="{_attribute(self.says)}" ', 1).encode()


def draw(figure: Figure, name: str, title: str, says: str, page: str) -> Drawing:
    """Render a figure; the same definition and rows give the same bytes everywhere."""
    vega = _compiled(figure.define, figure.options)
    data = [
        {**part, "values": list(figure.rows[part["name"]])} if part["name"] in figure.rows else part
        for part in vega["data"]
    ]
    if missing := set(figure.rows) - {part["name"] for part in data}:
        raise ValueError(f"{figure.define.__name__} has no data set called {', '.join(sorted(missing))}")
    filled = {**vega, "data": data}
    svg = vl_convert.vega_to_svg(filled)
    spec = json.dumps(filled, separators=(",", ":"), sort_keys=True)
    return Drawing(name, title, says, _lean(svg, name), spec, f"figures/{page}-{name}.svg")


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


def _lean(svg: str, name: str) -> str:
    """Drop what only the runtime needs, and make ids unique on a page."""
    svg = re.sub(r' (aria-roledescription|role|aria-hidden|pointer-events)="[^"]*"', "", svg)
    svg = re.sub(r' class="(?:mark|role|background|foreground)[^"]*"', "", svg)
    svg = re.sub(r' (?:xmlns:xlink|version)="[^"]*"', "", svg)
    svg = re.sub(r'<path d="M0,0h0v0h0Z"/>', "", svg)
    prefix = hashlib.sha256(name.encode()).hexdigest()[:6]
    svg = re.sub(r'(id="|url\(#)(?=[A-Za-z])', rf"\g<1>f{prefix}-", svg)
    empty = re.compile(r"<g(?: [^>]*)?></g>|<g(?: [^>]*)?/>")
    while empty.search(svg):
        svg = empty.sub("", svg)
    return svg


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


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

"""Small SVG of the figures that every entry has, as texts: what a printed page and one without scripts show.

A whole renderer takes hundreds of times as long and gives files five times as large, and a board has thousands of
entries; scripts put the figures of ``charts`` in the place of these, and ``bench figure`` draws them for a paper.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from math import floor, log10
from typing import Any

from bench.site.charts import HEIGHT, WIDTH, curves, layers, waterfall

Rows = Mapping[str, Sequence[Mapping[str, Any]]]
_WIDE, _HIGH = float(WIDTH), float(HEIGHT)
_LEFT, _RIGHT, _TOP, _FOOT, _NAMES, _SAID = 44.0, _WIDE - 12, 10.0, _HIGH - 36, 156.0, 50.0
_HALF = 3.6
"""Half the height of a letter: from the middle of a line of text to what it stands on."""
_LETTERS = 26
"""Of a name beside a bar; its table has the whole."""


def sketch(define: Callable[..., Any], options: Sequence[str], rows: Rows) -> str | None:
    """Return the small SVG of a definition filled with rows; None where it has none."""
    drawn = _SKETCHES.get(define)
    return None if drawn is None else drawn(options, rows)


def _curves(options: Sequence[str], rows: Rows) -> str:
    series: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows["curves"]:
        series.setdefault(row["series"], []).append(row)
    far = max(float(row["epsilon"]) for row in rows["curves"])
    root, y, shares = _scale(far**0.5, _LEFT, _RIGHT), _scale(1.0, _FOOT, _TOP), (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)

    def x(radius: float) -> float:
        return root(radius**0.5)

    radii = [(x(float(line["epsilon"])), line["says"]) for line in rows["headline"]]
    ranks = "".join(f"M{_at(at)} {_at(_TOP)}V{_at(_FOOT)}" for at, _ in radii)
    parts = [
        _path("".join(f"M{_at(_LEFT)} {_at(y(share))}H{_at(_RIGHT)}" for share in shares), "--line"),
        _texts((_LEFT - 6, y(share), f"{share:.0%}") for share in shares),
        _texts(((x(tick), _HIGH - 26, f"{tick:g}") for tick in _ticks(far)), "middle"),
        _path(ranks, "--muted", ' stroke-dasharray="2 3"'),
        _texts(((at + 4, _TOP + 8, says) for at, says in radii), "start"),
    ]
    low = _HIGH + 14
    for number, (name, points) in enumerate(series.items()):
        colour = f"--c{number % 6 + 1}"
        back = [(row["epsilon"], row["low"]) for row in reversed(points)]
        band = [(row["epsilon"], row["high"]) for row in points] + back
        parts.append(f'<path fill="var({colour})" opacity=".12" d="{_line(x, y, band)}Z"/>')
        parts.append(_path(_line(x, y, [(row["epsilon"], row["robust"]) for row in points]), colour, width=2.0))
        parts.append(_path(f"M{_at(_LEFT)} {_at(low)}h18", colour, width=3.0))
        parts.append(_text(_LEFT + 24, low, name))
        low += 16
    title = f"{' '.join(options)} distance ε, root scale".strip()
    parts.append(_text((_LEFT + _RIGHT) / 2, _HIGH - 8, title, ' text-anchor="middle"'))
    return _svg(_WIDE, low, parts)


def _waterfall(_options: Sequence[str], rows: Rows) -> str:
    bars = [
        (
            row["stage"],
            float(row["low"]),
            float(row["high"]),
            row["says"],
            "--c2" if row["kind"] == "broken" else "--accent",
        )
        for row in rows["stages"]
    ]
    return _bars(bars, 24, "share of all points")


def _layers(_options: Sequence[str], rows: Rows) -> str:
    bars = [(row["layer"], 0.0, float(row["density"]), row["says"], "--accent") for row in rows["layers"]]
    return _bars(bars, 18, "non-zero weights")


def _bars(bars: Sequence[tuple[str, float, float, str, str]], step: int, title: str) -> str:
    x, shares = _scale(1.0, _NAMES, _WIDE - _SAID), (0.0, 0.25, 0.5, 0.75, 1.0)
    foot = _TOP + step * len(bars)
    placed = [(_TOP + step * (number + 0.5), *bar) for number, bar in enumerate(bars)]
    parts = [
        _path("".join(f"M{_at(x(share))} {_at(_TOP)}V{_at(foot)}" for share in shares), "--line"),
        _texts(((x(share), foot + 10, f"{share:.0%}") for share in shares), "middle"),
        _texts(((_NAMES - 6, at, _cut(name)) for at, name, *_ in placed), ink="--ink"),
    ]
    for colour in sorted({bar[4] for bar in bars}):
        # strokes as wide as a bar: one path for all of a colour
        lines = [f"M{_at(x(low))} {_at(at)}H{_at(x(high))}" for at, _, low, high, _, own in placed if own == colour]
        parts.append(_path("".join(lines), colour, width=step * 0.7))
    parts.append(_texts(((x(high) + 5, at, says) for at, _, _, high, says, _ in placed), "start", "--ink"))
    parts.append(_text((_NAMES + _WIDE - _SAID) / 2, foot + 26, title, ' text-anchor="middle"'))
    return _svg(_WIDE, foot + 34, parts)


def _cut(name: str) -> str:
    return name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…"


def _scale(high: float, start: float, end: float) -> Callable[[float], float]:
    return lambda value: start + (end - start) * value / (high or 1)


def _at(value: float) -> str:
    """Spell a place to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


def _ticks(far: float) -> list[float]:
    """Return about five round numbers from zero to the end of an axis."""
    if far <= 0:
        return [0.0]
    unit = 10.0 ** floor(log10(far / 5))
    step = next(unit * part for part in (1, 2, 5, 10) if far / (unit * part) <= 6)
    return [round(step * number, 12) for number in range(floor(far / step + 1e-9) + 1)]


def _line(x: Callable[[float], float], y: Callable[[float], float], points: Iterable[tuple[Any, Any]]) -> str:
    return "M" + "L".join(f"{_at(x(float(across)))} {_at(y(float(up)))}" for across, up in points)


def _path(d: str, colour: str, more: str = "", width: float = 0.7) -> str:
    return f'<path fill="none" stroke="var({colour})" stroke-width="{_at(width)}"{more} d="{d}"/>'


def _texts(words: Iterable[tuple[float, float, str]], anchor: str = "end", ink: str = "--muted") -> str:
    inside = "".join(_text(*each) for each in words)
    return f'<g text-anchor="{anchor}" fill="var({ink})">{inside}</g>'


def _text(x: float, y: float, words: str, more: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y + _HALF:.0f}"{more}>{escape(words)}</text>'


def _svg(width: float, height: float, parts: Sequence[str]) -> str:
    size = f'width="{_at(width)}" height="{_at(height)}" viewBox="0 0 {_at(width)} {_at(height)}"'
    ns = "http://www.w3.org/2000/svg"
    return f'<svg xmlns="{ns}" {size} font-size="11" fill="var(--ink)">{"".join(parts)}</svg>'


_SKETCHES: dict[Callable[..., Any], Callable[[Sequence[str], Rows], str]] = {
    curves: _curves,
    waterfall: _waterfall,
    layers: _layers,
}

"""Figures are drawn the same everywhere, as SVG and as PDF."""

import json
import os
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from bench.site import charts, render
from bench.site.draw import Figure, draw
from bench.site.figures import thousands
from bench.site.render import inline, pdf, pictures, svg
from bench.site.store import opened
from tests.support.pdf import Pdf

ROWS = [
    {"epsilon": epsilon, "says": str(epsilon), "series": name, "robust": high - epsilon, "low": 0.1, "high": 0.9}
    for name, high in (("dense", 0.9), ("“half”, −50 %, ε∞", 0.8), ("(a\\b)", 0.7))
    for epsilon in (0, 0.25, 0.5)
]


def some(name="curves-linf"):
    figure = Figure(charts.curves, {"curves": ROWS, "headline": [{"epsilon": 0.25, "says": "1/4"}]}, ("L∞",))
    return draw(figure, name, "Curves", 'Curves of "three"', "page")


def drawn_whole(name):
    """Return a figure whose definition has no small SVG."""
    rows = [{"name": "half", "difference": -0.1, "low": -0.2, "high": 0.0, "verdict": "worse", "says": "0.01"}]
    figure = Figure(charts.differences, {"differences": rows, "zero": [{"at": 0}]})
    return draw(figure, name, "Differences", "One bar", "page")


def test_a_figure_for_paper_is_one_page_with_its_words_and_its_font():
    paper = pdf(some())
    assert len(paper) < 50_000
    drawn = Pdf(paper)
    assert (drawn.pages, drawn.fonts) == (1, 1)
    for words in ("L∞ distance ε", "points beyond ε", "dense", "“half”, −50 %, ε∞", "(a\\b)", "80%"):
        assert words in drawn.text


def test_a_count_keeps_its_space_on_paper():
    stages = [{"stage": "correct", "low": 0, "high": 1, "kind": "standing", "count": 1234, "says": thousands(1234)}]
    drawn = Pdf(pdf(draw(Figure(charts.waterfall, {"stages": stages}), "waterfall", "A", "A", "page")))
    assert "1\u00a0234" in drawn.text


def test_several_processes_draw_the_same_bytes(monkeypatch):
    drawings = [drawn_whole(f"bars-{number}") for number in range(6)]
    alone = pictures(drawings)
    monkeypatch.setattr(render, "_ALONE", 2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    assert pictures(drawings) == alone


def test_a_figure_that_was_kept_is_not_drawn_again(tmp_path, monkeypatch):
    drawings = [drawn_whole("bars-1"), drawn_whole("bars-2")]
    with opened(tmp_path) as store:
        drawn = pictures(drawings, store)
    assert drawn == pictures(drawings)
    monkeypatch.setattr(render, "inline", lambda _: pytest.fail("drawn again"))
    with opened(tmp_path) as store:
        assert pictures(drawings, store) == drawn


def test_another_renderer_draws_anew(tmp_path, monkeypatch):
    with opened(tmp_path) as store:
        pictures([drawn_whole("bars")], store)
    monkeypatch.setattr(render, "_renderer", lambda: "another")
    monkeypatch.setattr(render, "inline", lambda _: "<svg>another</svg>")
    with opened(tmp_path) as store:
        assert pictures([drawn_whole("bars")], store) == {"page/bars": "<svg>another</svg>"}


def test_fonts_of_the_system_change_nothing(tmp_path):
    """A process that sees no font of the system draws what one draws that sees them all."""
    empty = tmp_path / "fonts"
    empty.mkdir()
    settings = tmp_path / "fonts.conf"
    settings.write_text(f"<fontconfig><dir>{empty}</dir></fontconfig>", "utf-8")
    script = tmp_path / "draw.py"
    script.write_text(
        "import json, sys\nfrom bench.site import charts\nfrom bench.site.draw import Figure, draw\n"
        "from bench.site.render import inline, pdf, svg\n"
        "rows, *words = json.load(sys.stdin)\n"
        "drawn = draw(Figure(charts.curves, rows, ('L∞',)), *words)\n"
        "sys.stdout.write(json.dumps([inline(drawn), svg(drawn).decode(), pdf(drawn).hex()]))\n",
        "utf-8",
    )
    drawing = some()
    rows = {"curves": ROWS, "headline": [{"epsilon": 0.25, "says": "1/4"}]}
    given = json.dumps([rows, drawing.name, drawing.title, drawing.says, "page"])
    found = [
        subprocess.run(
            [sys.executable, str(script)], input=given, check=True, capture_output=True, text=True, cwd=Path.cwd(),
            env={**os.environ, "PYTHONPATH": str(Path.cwd()), **more},
        ).stdout
        for more in ({}, {"FONTCONFIG_FILE": str(settings)})
    ]  # fmt: skip
    here = [inline(drawing), svg(drawing).decode(), pdf(drawing).hex()]
    assert [json.loads(text) for text in found] == [here] * 2


def test_the_readers_own_setting_of_fonts_survives(monkeypatch):
    monkeypatch.setenv("FONTCONFIG_FILE", "/somewhere/fonts.conf")
    render._own_fonts.cache_clear()
    inline(some())
    assert os.environ["FONTCONFIG_FILE"] == "/somewhere/fonts.conf"


def test_resources_are_listed_in_the_order_of_their_names():
    given = b"    /XObject <<\n      /xo1 10 0 R\n      /xo0 8 0 R\n    >>\n    /Font <<\n      /f0 1 0 R\n    >>\n"
    sorted_names = (
        b"    /XObject <<\n      /xo0 8 0 R\n      /xo1 10 0 R\n    >>\n    /Font <<\n      /f0 1 0 R\n    >>\n"
    )
    assert render._settled(given) == sorted_names


def test_the_colours_on_paper_are_the_light_ones_of_the_pages():
    styles = (resources.files("bench.site") / "static" / "site.css").read_text("utf-8")
    light = dict(re.findall(r"(--[a-z0-9]+): light-dark\((#[0-9a-f]{6}),", styles))
    assert {name: light[name] for name in render.LIGHT} == render.LIGHT

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
from bench.site.render import picture, pictures
from tests.support.pdf import Pdf

ROWS = [
    {"epsilon": epsilon, "says": str(epsilon), "series": name, "robust": high - epsilon, "low": 0.1, "high": 0.9}
    for name, high in (("dense", 0.9), ("“half”, −50 %, ε∞", 0.8), ("(a\\b)", 0.7))
    for epsilon in (0, 0.25, 0.5)
]


def some(name="curves-linf"):
    figure = Figure(charts.curves, {"curves": ROWS, "headline": [{"epsilon": 0.25, "says": "1/4"}]}, ("L∞",))
    return draw(figure, name, "Curves", 'Curves of "three"', "page")


def test_a_figure_for_paper_is_one_page_with_its_words_and_its_font():
    drawn = Pdf(picture(some()).pdf)
    assert (drawn.pages, drawn.fonts) == (1, 1)
    for words in ("L∞ distance ε", "points beyond ε", "dense", "“half”, −50 %, ε∞", "(a\\b)", "80%"):
        assert words in drawn.text


def test_a_count_keeps_its_space_on_paper():
    stages = [{"stage": "correct", "low": 0, "high": 1, "kind": "standing", "count": 1234, "says": thousands(1234)}]
    drawn = Pdf(picture(draw(Figure(charts.waterfall, {"stages": stages}), "waterfall", "A", "A", "page")).pdf)
    assert "1\u00a0234" in drawn.text


def test_several_processes_draw_the_same_bytes(monkeypatch):
    drawings = [some(f"curves-{number}") for number in range(6)]
    alone = pictures(drawings)
    monkeypatch.setattr(render, "_ALONE", 2)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    assert pictures(drawings) == alone


def test_a_figure_that_was_kept_is_not_drawn_again(tmp_path, monkeypatch):
    drawings = [some("curves-1"), some("curves-2")]
    drawn = pictures(drawings, tmp_path)
    assert drawn == pictures(drawings)
    monkeypatch.setattr(render, "picture", lambda _: pytest.fail("drawn again"))
    assert pictures(drawings, tmp_path) == drawn


@pytest.mark.parametrize("harm", [lambda body: body[:-9], lambda body: body.replace(b"points", b"joints", 1)])
def test_a_kept_figure_that_was_cut_or_altered_is_drawn_again(tmp_path, harm):
    (drawn,) = pictures([some()], tmp_path).values()
    (file,) = tmp_path.iterdir()
    file.write_bytes(harm(file.read_bytes()))
    assert list(pictures([some()], tmp_path).values()) == [drawn]


def test_another_renderer_keeps_its_figures_elsewhere(tmp_path, monkeypatch):
    pictures([some()], tmp_path)
    monkeypatch.setattr(render, "_renderer", lambda: "another")
    pictures([some()], tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_fonts_of_the_system_change_nothing(tmp_path):
    """A process that sees no font of the system draws what one draws that sees them all."""
    empty = tmp_path / "fonts"
    empty.mkdir()
    settings = tmp_path / "fonts.conf"
    settings.write_text(f"<fontconfig><dir>{empty}</dir></fontconfig>", "utf-8")
    script = tmp_path / "draw.py"
    script.write_text(
        "import json, sys\nfrom bench.site.draw import Drawing\nfrom bench.site.render import picture\n"
        "drawn = picture(Drawing(*json.load(sys.stdin)))\n"
        "sys.stdout.write(json.dumps([drawn.inline, drawn.alone.decode(), drawn.pdf.hex()]))\n",
        "utf-8",
    )
    drawing = some()
    given = json.dumps([drawing.name, drawing.title, drawing.says, drawing.spec, drawing.address])
    found = [
        subprocess.run(
            [sys.executable, str(script)], input=given, check=True, capture_output=True, text=True, cwd=Path.cwd(),
            env={**os.environ, "PYTHONPATH": str(Path.cwd()), **more},
        ).stdout
        for more in ({}, {"FONTCONFIG_FILE": str(settings)})
    ]  # fmt: skip
    here = picture(drawing)
    assert [json.loads(text) for text in found] == [[here.inline, here.alone.decode(), here.pdf.hex()]] * 2


def test_the_readers_own_setting_of_fonts_survives(monkeypatch):
    monkeypatch.setenv("FONTCONFIG_FILE", "/somewhere/fonts.conf")
    render._own_fonts.cache_clear()
    picture(some())
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

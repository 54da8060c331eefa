"""Figures in a browser: drawn without scripts, saved, laid out for a phone, filled anew with what a reader chooses."""

import json
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench.cli.main import run
from tests.support.pdf import Pdf

pytestmark = pytest.mark.browser

BOARD = "boards/digits-v1-linf.html"
ENTRY = "entries/digits-v1/net-0-magnitude-global-1of2/index.html"
WITH_FIGURES = [BOARD, ENTRY, "index.html", "explorer.html", "compare.html", "sweet-spots.html"]
ROWS = """async ([figure, name]) => {
    const view = await window.benchCharts.draw(document.getElementById(`fig-${figure}`));
    return view.data(name).map(row => JSON.parse(JSON.stringify(row)));
}"""


def results(site):
    """Return what the files say, by entry."""
    folders = sorted((site.submissions / "digits-v1").iterdir())
    return {folder.name: json.loads((folder / "result.json").read_text("utf-8")) for folder in folders}


@pytest.mark.parametrize("path", WITH_FIGURES)
def test_every_figure_is_there_without_scripts_and_drawn_for_paper_by_the_command_beneath_it(
    site, tab, tmp_path, monkeypatch, path
):
    page = tab(java_script_enabled=False)
    page.goto(site.local(path))
    figures = page.locator("figure.chart").all()
    assert figures
    for figure in figures:
        assert figure.locator(".plot > svg text").count() > 3
    command = figures[-1].locator(".downloads code").text_content().split()
    assert command[0] == "bench"
    monkeypatch.chdir(tmp_path)
    assert run([*command[1:], "--submissions", str(site.submissions)]) == 0
    drawn = Pdf((tmp_path / f"{command[-1].rpartition('/')[2]}.pdf").read_bytes())
    assert (drawn.pages, drawn.fonts) == (1, 1)
    shown = figures[-1].locator(".plot > svg text").all_text_contents()
    assert sum(word in drawn.text for word in shown) >= len(shown) / 2


def test_a_view_is_saved_as_it_is_seen(site, tab):
    page = tab(color_scheme="dark")
    page.add_init_script("window.print = () => { window.printed = document.body.className; }")
    page.goto(site.local("explorer.html"))
    page.wait_for_selector("#controls:not([hidden])")
    page.wait_for_selector("figure.chart .plot div svg")
    figure = page.locator("figure.chart")
    page.get_by_label("Norm").select_option("L2")
    svg = _download(page, figure.get_by_role("button", name="SVG of"))
    assert b"var(" not in svg
    assert b"rgb(18, 87, 168)" in svg
    assert set(ET.fromstring(svg).itertext()) == set(figure.locator("svg text").all_text_contents())
    figure.get_by_role("button", name="PDF of").click()
    assert page.evaluate("window.printed") == "one-figure"
    page.emulate_media(media="print")
    assert page.locator("h1").is_hidden()
    assert figure.is_visible()
    assert page.pdf(format="A4")[:5] == b"%PDF-"


def _download(page, link):
    with page.expect_download() as waiting:
        link.click()
    return Path(waiting.value.path()).read_bytes()


@pytest.mark.parametrize("path", WITH_FIGURES)
def test_a_figure_is_laid_out_for_a_phone_without_shrinking_its_letters(site, tab, path):
    page = tab(viewport={"width": 320, "height": 640})
    page.goto(site.local(path))
    page.wait_for_load_state("networkidle")
    for figure in page.locator("figure.chart").all():
        figure.scroll_into_view_if_needed()
        figure.locator(".plot div svg").wait_for()
    page.wait_for_function(
        """() => [...document.querySelectorAll(".plot div svg")].every(
            svg => Number(svg.getAttribute("width")) === svg.clientWidth
        )""",
        timeout=20_000,
    )
    # names that a reader has chosen may be wider than a phone; such a figure scrolls in its own frame
    if path not in {"explorer.html", "compare.html"}:
        page.wait_for_function(
            "() => [...document.querySelectorAll('.plot')].every(plot => plot.scrollWidth <= plot.clientWidth)",
            timeout=20_000,
        )


def test_the_curves_of_chosen_entries_are_those_of_the_files(site, tab):
    page = tab()
    page.goto(site.local("compare.html#v=1&board=digits-v1-l2&ids=net-0-dense~hostile"))
    page.wait_for_selector("#controls:not([hidden])")
    page.wait_for_selector("#fig-curves .plot div svg")
    found = page.evaluate(ROWS, ["curves", "curves"])
    told = results(site)
    expected = []
    for name in ("net-0-dense", "hostile"):
        curve = told[name]["curves"]["L2"]
        expected += [
            (pytest.approx(float(Fraction(epsilon))), pytest.approx(robust / 500))
            for epsilon, robust in zip(curve["epsilon"], curve["robust"], strict=True)
        ]
    assert [(row["epsilon"], row["robust"]) for row in found] == expected
    assert page.evaluate(ROWS, ["curves", "headline"])[0]["says"] == "1/2"
    assert page.locator("#metrics th").all_text_contents()[2:5] == ["robust %", "L∞ 1/10 %", "L0 2 pixels %"]


def test_the_upper_edge_of_a_scenario_is_the_best_of_its_lines(site, tab):
    page = tab()
    page.goto(site.local("explorer.html#v=1&norm=L2&p=70"))
    page.wait_for_selector("#controls:not([hidden])")
    page.wait_for_selector("figure.chart .plot div svg")
    alive = [told for told in results(site).values() if not told["collapsed"]]
    lines = [
        (told["clean"]["correct"] / 500, next(t["best_known"] for t in told["threats"] if t["norm"] == "L2") / 500)
        for told in alive
    ]
    edge = page.evaluate(ROWS, ["scenario", "best"])
    assert (edge[0]["p"], edge[-1]["p"]) == (0, 1)
    for row in edge:
        best = max((1 - row["p"]) * clean + row["p"] * robust for clean, robust in lines)
        assert row["accuracy"] == pytest.approx(best)

"""The site as readers meet it: from files and served, by mouse and keyboard, with and without scripts."""

import csv
import hashlib
import json
import tomllib
from fractions import Fraction
from pathlib import Path

import pandas as pd
import pytest

from bench.submission.check import examine
from bench.submission.paired import Paired
from bench.submission.standing import best_known
from bench.threats import Norm
from tests.support.sites import HOSTILE

pytestmark = pytest.mark.browser

BOARD = "boards/digits-v1-linf.html"
ENTRY = "entries/digits-v1/net-0-magnitude-global-1of2/index.html"
LITERATURE = "literature/quoted.html"
PAGES = [
    "index.html",
    BOARD,
    ENTRY,
    "entries/digits-v1/hostile/index.html",
    "explorer.html",
    "compare.html",
    "deploy.html",
    "sweet-spots.html",
    "findings.html",
    "protocols.html",
    "data.html",
    "changes.html",
    LITERATURE,
    "docs/index.html",
    "docs/commands.html",
    "docs/files.html",
    "docs/seed.html",
    "docs/extend.html",
]
LOOKS = [(width, "screen", scheme) for width in (320, 768, 1280) for scheme in ("light", "dark")]
LOOKS += [(720, "print", "light")]  # the width of A4 between usual margins, charts drawn for a wide screen before
"""Width of the window, medium and colours in which pages are looked at."""
VENDOR = Path(__file__).parent / "vendor"
AXE = """async () => {
    const { violations } = await axe.run({ preload: false });
    return violations.map(violation => [violation.id, violation.nodes.map(node => node.html).slice(0, 3)]);
}"""


def ready(page):
    page.wait_for_selector("#tools:not([hidden])", timeout=60_000)


def in_bands(page, key):
    """Return the numbers of one column as they stand below each heading of a band."""
    column = (
        page.locator("#board thead th:visible").evaluate_all("heads => heads.map(head => head.dataset.key)").index(key)
    )
    found: dict[str, list[float]] = {}
    label = ""
    read = "(rows, column) => rows.map(row => [row.dataset.band || '', row.cells[column]?.textContent])"
    for heading, text in page.locator("#board tbody tr").evaluate_all(read, column):
        label = heading or label
        if not heading:
            found.setdefault(label, []).append(float(text))
    return found


def ids(page):
    return page.eval_on_selector_all("#board tbody tr[id]", "rows => rows.map(row => row.id)")


@pytest.mark.parametrize("path", PAGES)
def test_every_page_opens_from_files_and_served_without_a_word(site, tab, path):
    page = tab()
    for address in (site.local(path), site.served + path):
        page.goto(address)
        page.wait_for_load_state("networkidle")
        assert page.locator("h1").count() == 1
        assert page.title().endswith("prunebench")
        if page.locator("figure.chart").count():
            page.locator("figure.chart").first.scroll_into_view_if_needed()
            page.wait_for_selector("figure.chart .vega-embed svg, figure.chart .plot div svg")


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_accessible_at_every_width_and_in_print(site, tab, path):
    """Nothing scrolls sideways either: what is wide scrolls within itself."""
    page = tab(bypass_csp=True)
    page.goto(site.local(path))
    page.wait_for_load_state("networkidle")
    page.add_script_tag(path=str(VENDOR / "axe.min.js"))
    for width, media, scheme in LOOKS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(media=media, color_scheme=scheme)
        assert page.evaluate(AXE) == [], (width, media, scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (width, media, scheme)


def test_axe_is_the_pinned_one():
    lock = tomllib.loads((VENDOR / "vendor.lock.toml").read_text("utf-8"))
    for name, digest in lock["files"].items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest


def test_a_published_board_shows_all_its_columns_at_1280_pixels(root, tab):
    page = tab(viewport={"width": 1280, "height": 900})
    page.goto((root / "leaderboard" / BOARD).as_uri())
    ready(page)
    assert page.locator(".scroll").first.evaluate("table => table.scrollWidth - table.clientWidth") <= 0


def test_a_wide_screen_uses_its_room(site, tab):
    page = tab(viewport={"width": 3840, "height": 2160})
    page.goto(site.local(BOARD))
    assert page.locator("main").bounding_box()["width"] > 1600


def test_without_scripts_every_row_and_every_chart_is_there(site, tab):
    page = tab(java_script_enabled=False)
    page.goto(site.local(BOARD))
    assert page.locator("#board tbody tr[id]").count() == 8
    assert page.locator("#tools").is_hidden()
    for path in (BOARD, ENTRY, "index.html", "explorer.html", "compare.html", "sweet-spots.html"):
        page.goto(site.local(path))
        figures = page.locator("figure.chart")
        assert figures.count() >= 1
        for figure in figures.all():
            assert figure.locator("svg").bounding_box()["height"] > 50


def test_quoted_figures_stand_alone_and_can_be_searched_sorted_and_shared(site, tab):
    page = tab(java_script_enabled=False)
    page.goto(site.local(BOARD))
    page.locator("p.legend").get_by_role("link", name=HOSTILE).click()
    assert page.url == site.local(LITERATURE)
    assert page.locator("#board tbody tr.claimed").count() == 3
    page = tab()
    page.goto(site.local(LITERATURE))
    ready(page)
    written = ids(page)
    assert page.locator(".pick").count() == 0
    assert page.locator("#tools").get_by_role("button", name="Compare").count() == 0
    page.locator('th[data-key="robust"] button').click()
    page.wait_for_selector('th[data-key="robust"][aria-sort="descending"]')
    assert ids(page) == [written[1], written[0], written[2]]
    page.locator("#tools label", has_text="Structure").locator("select").select_option("structured")
    page.wait_for_function("document.querySelectorAll('#board tbody tr').length === 2")
    assert "2 of 3 entries shown, sorted by Robust %, descending" in page.locator("#count").inner_text()
    shared = tab()
    shared.goto(page.url)
    ready(shared)
    assert ids(shared) == ids(page)


def test_forced_colours_and_reduced_motion_are_respected(site, tab):
    page = tab(forced_colors="active", reduced_motion="reduce")
    page.goto(site.local(BOARD))
    style = "(element, name) => getComputedStyle(element)[name]"
    assert page.locator("html").evaluate(style, "scrollBehavior") == "auto"
    assert page.locator("nav.boards [aria-current]").evaluate(style, "borderBottomStyle") == "solid"
    full, hollow = (page.locator(f".legend .dot{kind}") for kind in (".full", ".hollow"))
    assert full.evaluate(style, "backgroundColor") != hollow.evaluate(style, "backgroundColor")


def test_columns_sort_by_mouse_and_by_keyboard(site, tab):
    page = tab()
    page.goto(site.local(BOARD))
    ready(page)
    first = ids(page)
    head = page.locator('th[data-key="clean"]')
    head.locator("button").click()
    page.wait_for_selector('th[data-key="clean"][aria-sort="descending"]')
    by_clean = ids(page)
    assert sorted(by_clean) == sorted(first)
    assert "sorted by Clean %, descending" in page.locator("#count").text_content()
    head.locator("button").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector('th[data-key="clean"][aria-sort="ascending"]')
    bands = in_bands(page, "clean")
    assert len(bands) > 2
    assert list(bands)[-1] == "dense reference"
    assert all(numbers == sorted(numbers) for numbers in bands.values())
    page.get_by_label("By band").uncheck()
    assert ids(page) != by_clean
    (numbers,) = in_bands(page, "clean").values()
    assert numbers == sorted(numbers)
    assert len(numbers) == sum(map(len, bands.values())) == 8
    assert "flat=1" in page.url
    page.get_by_label("By band").check()
    assert in_bands(page, "clean") == bands


def test_without_scripts_the_bands_are_those_with_them(site, tab):
    plain, lively = tab(java_script_enabled=False), tab()
    for page in (plain, lively):
        page.goto(site.local(BOARD))
    ready(lively)
    rows = "rows => rows.map(row => row.id || row.dataset.band)"
    printed, drawn = (page.locator("#board tbody tr").evaluate_all(rows) for page in (plain, lively))
    assert printed == drawn
    assert len(printed) > 8
    width = "cells => cells.map(cell => cell.getBoundingClientRect().width)"
    (head,) = lively.locator("#board thead tr").evaluate_all(width)
    assert set(lively.locator("#board tr.band th").evaluate_all(width)) == {head}


def test_search_and_facet_narrow_the_board_and_say_so(site, tab):
    page = tab()
    page.goto(site.local(BOARD))
    ready(page)
    page.get_by_label("Search").fill("magnitude-uniform")
    assert page.locator("#count").text_content().startswith("1 of 8 entries shown")
    page.get_by_label("Search").fill("")
    page.get_by_role("combobox", name="Level").select_option("self-reported")
    shown = ids(page)
    assert "hostile" in shown
    assert page.locator("#count").text_content().startswith(f"{len(shown)} of 8 entries shown")
    page.get_by_role("combobox", name="Level").select_option("")
    assert len(ids(page)) == 8


def test_a_shared_link_restores_the_view(site, tab):
    page = tab()
    page.goto(site.local(BOARD))
    ready(page)
    page.get_by_role("combobox", name="Recipe").select_option("magnitude-global")
    page.locator('th[data-key="sparsity"] button').click()
    page.get_by_text("Columns", exact=True).click()
    page.get_by_role("checkbox", name="Packed bytes").check()
    page.locator("#board tbody input").first.check()
    link, view = page.url, ids(page)
    assert "v=1" in link
    other = tab()
    other.goto(link)
    ready(other)
    assert ids(other) == view
    assert other.locator('th[data-key="bytes"]').is_visible()
    assert other.locator('th[data-key="sparsity"]').get_attribute("aria-sort") == "descending"
    assert other.locator("#board tbody input:checked").count() == 1
    page.goto("about:blank")


def test_a_view_is_taken_away_as_csv_that_no_spreadsheet_evaluates(site, tab):
    page = tab()
    page.goto(site.local(BOARD))
    ready(page)
    page.get_by_role("combobox", name="Level").select_option("self-reported")
    page.locator('th[data-key="clean"] button').click()
    page.get_by_text("Columns", exact=True).click()
    page.get_by_role("checkbox", name="Recipe").check()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="CSV of this view").click()
    lines = list(csv.DictReader(Path(waiting.value.path()).read_text("utf-8").splitlines()))
    assert waiting.value.suggested_filename == "digits-v1-linf.csv"
    assert [line["Entry"].split()[0] for line in lines] == page.eval_on_selector_all(
        "#board tbody tr[id] th a", "links => links.map(link => link.textContent.split(/\\s/)[0])"
    )
    assert {line["Level"] for line in lines} == {"self-reported"}
    assert all(line["Recipe"] and float(line["Clean %"]) >= 0 for line in lines)
    table = pd.read_csv(waiting.value.path(), index_col="id")
    assert [*table.index] == page.eval_on_selector_all("#board tbody tr[id]", "rows => rows.map(row => row.id)")
    data = pd.read_csv(site.folder / "data" / "entries.csv").query("norm == 'Linf'").set_index("entry").loc[table.index]
    shown = table["Robust %"].notna()
    assert shown.any()
    shares = 100 * data["best_known"] / data["points"]
    assert (table["Robust %"] - shares)[shown].abs().max() < 0.051
    assert (table["Robust %, low"] <= table["Robust %"])[shown].all()
    assert (table["Robust %"] <= table["Robust %, high"])[shown].all()
    assert (table["MACs"] == data["nonzero_macs"]).all()
    assert pd.api.types.is_numeric_dtype(table["Δ parent"])
    words = table.select_dtypes(exclude="number").fillna("")
    assert not any(value[:1] in set("=+-@") for name in words for value in words[name])


def test_an_anchor_leads_to_its_row(site, tab):
    page = tab()
    page.goto(site.local(f"{BOARD}#hostile"))
    ready(page)
    assert page.locator("tr#hostile").evaluate("row => row.classList.contains('here')")


def test_chosen_entries_are_compared_as_the_files_say(site, tab):
    page = tab()
    page.goto(site.local(BOARD))
    ready(page)
    for name in ("net-0-dense", "net-0-magnitude-global-9of10"):
        page.locator(f'input[data-id="{name}"]').check()
    page.get_by_role("button", name="Compare 2").click()
    page.wait_for_selector("#controls:not([hidden])")
    assert page.locator("#header th").count() == 2
    tables = {}
    for name in ("net-0-dense", "net-0-magnitude-global-9of10"):
        folder, _ = examine(site.submissions / "digits-v1" / name)
        tables[name] = best_known(folder.result, folder.points)[Norm.LINF].points
    first = page.locator("#header a").first.get_attribute("href").split("/")[2]
    (second,) = set(tables) - {first}
    pair = Paired.of(tables[second], tables[first])
    cells = page.locator("#outcomes tr").first.locator("td").all_text_contents()
    assert cells[:4] == [str(pair.both), str(pair.first), str(pair.second), str(pair.neither)]
    assert float(cells[4].replace("−", "-")) == pytest.approx(100 * float(pair.difference), abs=0.051)
    printed = "< 0.001" if pair.p_value < 0.001 else f"{pair.p_value:.{3 if pair.p_value < 0.1 else 2}f}"
    assert cells[6] == printed
    page.wait_for_selector("figure.chart .plot div svg")


def test_no_more_than_six_are_compared(site, tab):
    page = tab()
    page.goto(site.local(BOARD))
    ready(page)
    for box in page.locator("#board tbody input").all()[:6]:
        box.check()
    page.locator("#board tbody input").nth(6).click()
    assert not page.locator("#board tbody input").nth(6).is_checked()
    assert "At most 6" in page.locator("#count").text_content()


def test_the_explorer_answers_by_mouse_and_by_keyboard(site, tab):
    page = tab()
    page.goto(site.local("explorer.html"))
    page.wait_for_selector("#controls:not([hidden])")
    slider = page.get_by_role("slider")
    box = slider.bounding_box()
    page.mouse.click(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2)
    assert int(slider.input_value()) >= 97
    slider.focus()
    page.keyboard.press("Home")
    assert slider.input_value() == "0"
    page.keyboard.press("ArrowRight")
    assert page.locator("#p").text_content() == "1 %"
    assert page.locator("#answer").text_content().startswith("With 1 % attacked traffic, ")
    assert "p=1" in page.url
    page.wait_for_selector("figure.chart .plot div svg")


def test_the_explorer_names_the_best_entry_of_the_files(site, tab):
    page = tab()
    page.goto(site.local("explorer.html#v=1&norm=L2&p=70"))
    page.wait_for_selector("#controls:not([hidden])")
    best, share = None, Fraction(7, 10)
    for folder in sorted((site.submissions / "digits-v1").iterdir()):
        result = json.loads((folder / "result.json").read_text("utf-8"))
        if not result["collapsed"]:
            robust = next(threat["best_known"] for threat in result["threats"] if threat["norm"] == "L2")
            best = max(best or 0, (1 - share) * result["clean"]["correct"] + share * robust)
    assert f"{100 * float(best) / 500:.1f} % right" in page.locator("#answer").text_content()


def test_a_smaller_size_and_a_stronger_adversary_change_the_question(site, tab):
    page = tab()
    page.goto(site.local("explorer.html"))
    page.wait_for_selector("#controls:not([hidden])")
    page.get_by_label("Largest size").select_option(index=4)
    page.get_by_label("Strength").select_option("1/5")
    assert "L∞ 1/5" in page.locator("#basis").text_content()
    link, answer = page.url, page.locator("#answer").text_content()
    other = tab()
    other.goto(link)
    other.wait_for_selector("#controls:not([hidden])")
    assert other.locator("#answer").text_content() == answer


def test_a_hostile_name_stays_a_name(site, tab):
    page = tab()
    page.goto(site.local("entries/digits-v1/hostile/index.html"))
    assert HOSTILE in page.locator("h1").text_content()
    for path in (BOARD, "compare.html#v=1&ids=hostile~net-0-dense", "explorer.html"):
        page.goto(site.local(path))
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.querySelectorAll('img[src=x]').length") == 0


def test_colours_follow_the_choice(site, tab):
    page = tab(color_scheme="light")
    page.goto(site.served)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Colours").click()
    page.get_by_role("button", name="Colours: light").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.reload()
    assert page.get_by_role("button", name="Colours: dark").is_visible()


def test_a_page_prints_to_pdf_with_every_row(site, tab):
    page = tab()
    page.goto(site.local(BOARD))
    ready(page)
    page.emulate_media(media="print")
    assert page.locator("#tools").is_hidden()
    assert page.locator("#board tbody tr[id]").count() == 8
    assert page.pdf(format="A4")[:5] == b"%PDF-"

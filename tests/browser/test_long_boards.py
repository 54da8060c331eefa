"""Boards of more rows than one page holds: quick with scripts, and whole without them."""

import csv
import re
from pathlib import Path
from statistics import median
from urllib.parse import urldefrag

import pytest

from bench.site import paging
from tests.support.sites import crowded, print_board

pytestmark = pytest.mark.browser

TOTAL = 350
WATCH = """(() => {
    const watch = () => requestAnimationFrame(() => {
        if (!document.querySelector("#tools:not([hidden])")) watch();
        else setTimeout(() => { window.opened = performance.now(); }, 0);
    });
    watch();
})()"""
"""Takes the time from the start of the navigation to the first frame that shows the tools."""
TIME = """async ([selector, value, event]) => {
    const element = document.querySelector(selector);
    const start = performance.now();
    if (value !== null) element.value = value;
    element.dispatchEvent(new Event(event, { bubbles: true }));
    await new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)));
    return performance.now() - start;
}"""
"""Takes the milliseconds from an event to the end of the frame that shows what came of it."""
CELLS = """rows => rows.map(row => [
    row.id, row.className, row.dataset.band || "",
    [...row.cells].filter(cell => cell.className !== "pick").map(cell => cell.innerHTML),
])"""


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """Print a board of several pages and return the first one."""
    folder = tmp_path_factory.mktemp("long")
    return print_board(folder / "out", crowded(folder / "in", TOTAL)[0])


def ready(page, address):
    page.goto(address)
    page.wait_for_selector("#tools:not([hidden])")
    return page


def ids(page):
    return page.eval_on_selector_all("#board tbody tr[id]", "rows => rows.map(row => row.id)")


def turn(page, label):
    page.get_by_role("navigation", name="Pages of the board").get_by_role("button", name=label, exact=True).click()


def walk(first: Path):
    """Return the ids on all pages from the first one on, by the links that lead to the next."""
    found, page = [], first
    while page:
        text = page.read_text("utf-8")
        found.append(re.findall(r'<tr id="([^"]+)"', text))
        following = re.search(r'<a href="([^"]+)">Next</a>', text)
        page = first.parent / urldefrag(following[1]).url if following else None
    return found


@pytest.mark.parametrize("number", [1, 2, 4])
def test_each_page_is_the_same_printed_and_drawn(long, tab, number):
    name = long.name if number == 1 else f"{long.stem}-{number}.html"
    plain, lively = tab(java_script_enabled=False), tab()
    plain.goto((long.parent / name).as_uri())
    ready(lively, (long.parent / name).as_uri())
    lively.evaluate("document.querySelector('#tools details').open = true")
    lively.eval_on_selector_all("#tools details input:not(:checked)", "boxes => boxes.forEach(box => box.click())")
    printed, drawn = (page.locator("#board tbody tr").evaluate_all(CELLS) for page in (plain, lively))
    assert printed == drawn
    assert len(printed) > 50
    assert plain.locator("#tools").is_hidden()


def test_without_scripts_links_lead_through_all_rows(long, tab):
    page = tab(java_script_enabled=False)
    page.goto(long.as_uri())
    found = []
    for number in range(1, 5):
        assert page.locator("caption .part").first.text_content().startswith(f"Rows {100 * number - 99}–")
        assert page.locator("nav.pages [aria-current]").text_content() == str(number)
        found += ids(page)
        if number < 4:
            page.get_by_role("link", name="Next", exact=True).click()
    assert page.get_by_role("link", name="Next", exact=True).count() == 0
    assert len(found) == len(set(found)) == TOTAL
    page.get_by_role("link", name="Previous", exact=True).click()
    assert ids(page) == found[200:300]


def test_pages_turn_by_mouse_and_by_keyboard_and_stay_in_the_address(long, tab):
    page = ready(tab(), long.as_uri())
    first = ids(page)
    turn(page, "Next")
    second = ids(page)
    assert not set(first) & set(second)
    assert "350 of 350 entries fit, 101–200 shown" in page.locator("#count").text_content()
    assert page.evaluate("document.activeElement.className") == "scroll"
    assert 0 <= page.locator("caption").bounding_box()["y"] < 200
    page.get_by_role("button", name="4", exact=True).focus()
    page.keyboard.press("Enter")
    assert len(ids(page)) == 50
    assert "page=4" in page.url
    other = ready(tab(), page.url)
    assert ids(other) == ids(page)
    turn(page, "1")
    assert ids(page) == first
    assert "#" not in page.url
    turn(page, "2")
    page.locator('th[data-key="entry"] button').click()
    assert "1–100 shown, sorted by Entry, ascending" in page.locator("#count").text_content()


@pytest.mark.parametrize("start", ["", "-3"])
def test_an_anchor_opens_the_page_that_holds_its_row(long, tab, start):
    """The page that a link names need not be the one that the row stands on."""
    wanted = walk(long)[1][70]
    page = ready(tab(), f"{(long.parent / f'{long.stem}{start}.html').as_uri()}#{wanted}")
    row = page.locator(f"tr#{wanted}")
    assert row.evaluate("row => row.classList.contains('here')")
    page.wait_for_function("id => { const { top } = document.getElementById(id).getBoundingClientRect(); "
                           "return top > 0 && top < innerHeight; }", arg=wanted)  # fmt: skip
    assert page.locator("nav.pages [aria-current]").text_content() == "2"


def test_entries_of_different_pages_are_compared(long, tab):
    page = ready(tab(), long.as_uri())
    chosen = []
    for label in ("Next", "4"):
        turn(page, label)
        chosen.append(ids(page)[3])
        page.locator(f'input[data-id="{chosen[-1]}"]').check()
    turn(page, "2")
    assert page.locator("#board tbody input:checked").get_attribute("data-id") == chosen[0]
    assert page.get_by_role("button", name="Compare 2").is_enabled()
    other = ready(tab(), page.url)
    assert other.get_by_role("button", name="Compare 2").is_enabled()
    assert other.locator("#board tbody input:checked").get_attribute("data-id") == chosen[0]


def test_words_facets_and_the_file_reach_every_row(long, tab):
    page = ready(tab(), long.as_uri())
    page.get_by_label("Search").fill('"network 34"')
    names = page.locator("#board tbody th a").all_text_contents()
    assert len(names) == 11
    assert all(name.startswith("Network 34") for name in names)
    page.get_by_label("Search").fill('erk "network 34"')
    assert 0 < len(ids(page)) < 11
    page.get_by_label("Search").fill("")
    page.get_by_role("combobox", name="Level").select_option("re-run")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="CSV of this view").click()
    lines = list(csv.DictReader(Path(waiting.value.path()).read_text("utf-8").splitlines()))
    assert page.locator("#count").text_content().startswith(f"{len(lines)} of 350 entries fit, 1–100 shown")
    assert len(lines) > 150
    assert {line["Level"] for line in lines} == {"re-run"}


def test_a_long_board_is_accessible_and_never_scrolls_sideways(long, tab):
    page = ready(tab(viewport={"width": 320, "height": 640}, bypass_csp=True), long.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.add_script_tag(path=str(Path(__file__).parent / "vendor" / "axe.min.js"))
    for _ in range(2):
        assert page.evaluate("async () => (await axe.run({ preload: false })).violations.map(one => one.id)") == []
        turn(page, "Next")


@pytest.mark.parametrize(
    "total", [pytest.param(1000, marks=pytest.mark.timing), pytest.param(10_000, marks=pytest.mark.soak)]
)
def test_a_long_board_opens_sorts_and_narrows_at_once(tmp_path, tab, total):
    first = print_board(tmp_path / "out", crowded(tmp_path / "in", total)[0])
    found = [one for part in walk(first) for one in part]
    assert len(found) == len(set(found)) == total
    opened = []
    for _ in range(3):
        page = tab()
        page.add_init_script(WATCH)
        ready(page, first.as_uri())
        opened.append(page.wait_for_function("window.opened").json_value())
    assert median(opened) < 1000
    level = page.locator("#tools label", has_text="Level").locator("select")
    level.evaluate("select => { select.id = 'level'; }")
    kinds = {
        "sorting": [
            (f'th[data-key="{key}"] button', None, "click") for key in ("clean", "entry", "macs", "robust") * 2
        ],
        "searching": [("#tools input", text, "input") for text in ("n", "ne", "network 12", "magnitude", "")],
        "choosing": [("#level", value, "change") for value in ("re-run", "", "self-reported", "")],
        "turning": [("nav.pages :last-child", None, "click")] * 5,
    }
    times = {kind: [page.evaluate(TIME, list(event)) for event in events] for kind, events in kinds.items()}
    assert page.locator("[aria-sort]").get_attribute("data-key") == "robust"
    assert f"{5 * paging.ROWS + 1}–{6 * paging.ROWS} shown" in page.locator("#count").text_content()
    assert {kind: spent for kind, spent in times.items() if median(spent) >= 200} == {}

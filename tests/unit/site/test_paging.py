"""A board of more rows than one page holds is cut into pages, and every row stays within reach."""

import json
import re
from dataclasses import replace
from itertools import pairwise

import pytest

from bench.site import boards, paging
from bench.site.build import build
from bench.site.entries import Band, Catalogue, read
from bench.site.inspect import problems
from bench.site.tables import columns, rows
from bench.site.trace import hold, traced
from tests.support.sites import HOSTILE, crowded, print_board, submissions

FIRST = "boards/digits-v1-linf.html"
PAGES = [FIRST, "boards/digits-v1-linf-2.html", "boards/digits-v1-linf-3.html"]


@pytest.fixture(scope="module", autouse=True)
def few():
    """Let three rows fill a page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paging, "ROWS", 3)
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return submissions(tmp_path_factory.mktemp("submissions"))


@pytest.fixture(scope="module")
def catalogue(root) -> Catalogue:
    return read(root)


@pytest.fixture(scope="module")
def files(root) -> dict[str, bytes]:
    return build(root)


def on(page: bytes) -> list[str]:
    return re.findall(r'<tr id="([^"]+)"', page.decode())


def script(files: dict[str, bytes]) -> tuple[str, bytes]:
    ((path, content),) = [
        (path, content) for path, content in files.items() if path.startswith("boards/digits-v1-linf.rows.")
    ]
    return path, content


def test_a_site_of_paged_boards_has_no_problem(files):
    """Entries link to the page that holds their row: an anchor elsewhere would be a problem."""
    assert problems(files) == []


def test_pages_follow_each_other_in_the_order_of_the_board(files, catalogue):
    written = [row.entry.id for row in rows(catalogue, catalogue.boards[0])]
    assert [on(files[page]) for page in PAGES] == [written[:3], written[3:6], written[6:]]
    for before, after in pairwise(PAGES):
        assert f'<a href="../{after}#board">Next</a>' in files[before].decode()
        assert f'<a href="../{before}#board">Previous</a>' in files[after].decode()
    texts = [files[page].decode() for page in PAGES]
    captions = [re.search(r'<span class="part">(.*?)</span>(\d+) entries', text).groups() for text in texts]
    assert captions == [("Rows 1–3 of ", "8"), ("Rows 4–6 of ", "8"), ("Rows 7–8 of ", "8")]
    for text in texts:
        assert re.search(r'<tbody>\s*<tr class="band"', text), "a page begins with the heading of a band"
    assert [text.count('<figure class="chart"') > 0 for text in texts] == [True, False, False]
    assert len(set(re.findall(r"<title>.*?</title>", "".join(texts)))) == 3


def test_the_script_holds_every_cell_of_every_row(files, catalogue):
    _, content = script(files)
    told = json.loads(content.decode().removeprefix("window.ROWS=").removesuffix(";\n"))
    board = catalogue.boards[0]
    found = rows(catalogue, board)
    assert told["ids"] == [row.entry.id for row in found]
    assert told["ranked"] == [int(row.entry in board.places) for row in found]
    assert set(told["heads"]) == {band.label for band in board.bands}
    for column in columns(board):
        part = told["columns"][column.key]
        for row, at in zip(found, part["at"], strict=True):
            cell, packed = column.cell(row), part["cells"][at]
            text, order, small, link = packed + [None, "", ""][len(packed) - 1 :]
            assert (text, order, small) == (cell.text, cell.order, cell.small)
            assert link == (f"../{cell.link}" if cell.link else "")


def test_the_script_is_safe_and_the_same_every_time(files, root):
    path, content = script(files)
    assert HOSTILE not in content.decode()
    assert not set(b"<>&") & set(content)
    assert b"onerror" in content
    again = [page.files for page in boards.boards(read(root)) if page.address == FIRST]
    assert again == [{path: content}]


def test_what_is_traced_stands_on_the_page_of_the_row(files, catalogue, tmp_path):
    for path, content in files.items():
        if path.endswith(".html"):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(content)
    met = set()
    for entry in catalogue:
        told = traced(catalogue, entry, "board.Linf")
        (page,) = told
        assert entry.id in on(files[page])
        hold(tmp_path, told)
        met.add(page)
    assert met == set(PAGES)


def test_networks_without_channels_are_cut_into_pages_too(catalogue):
    board = catalogue.boards[0]
    slim = replace(board, channels=(Band("50–75 %", board.entries[:2], {}), Band("90–95 %", board.entries[2:5], {})))
    contexts = [page.context for page in boards.boards(replace(catalogue, boards=[slim]))]
    shown = [[line["address"] for line in context["channels"]] for context in contexts]
    written = [entry.address for entry in board.entries[:5]]
    assert shown == [written[:3], written[3:], []]
    assert [line["label"] for line in contexts[0]["channels"]] == ["50–75 %", "50–75 %", "90–95 %"]
    assert [context["channels_part"] for context in contexts[:2]] == ["Rows 1–3 of ", "Rows 4–5 of "]
    assert contexts[0]["channels_pages"][-1] == {"label": "Next", "address": PAGES[1]}
    assert contexts[1]["channels_pages"][0] == {"label": "Previous", "address": FIRST}
    assert contexts[1]["channels_pages"][-1]["label"] == "2"


def test_pages_and_script_of_a_thousand_rows_are_light(tmp_path, monkeypatch):
    monkeypatch.setattr(paging, "ROWS", 100)
    first = print_board(tmp_path / "out", crowded(tmp_path / "in", 1000)[0])
    written = {path.relative_to(tmp_path / "out").as_posix(): path.read_bytes() for path in first.parent.iterdir()}
    assert len(written) == 11
    assert not [problem for problem in problems(written) if "bytes compressed" in problem]

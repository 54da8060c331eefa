"""The page about data names every track, every data set with its files and terms, as the code has them."""

import html
import re
from pathlib import Path

import numpy as np
import pytest

from bench.cli.main import cli
from bench.data.dataset import DATASETS
from bench.data.decoding import PREPARED
from bench.data.official import data_folder
from bench.data.slices import Layout, from_slices
from bench.models.weights import model_folder
from bench.protocol.load import load, names
from bench.site import documents, tracks
from bench.site.build import build
from bench.threats import Norm


def shown(page):
    return html.unescape(re.sub(r"<[^>]+>", " ", page))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return build(tmp_path_factory.mktemp("submissions"), commands=cli)


@pytest.fixture(scope="module")
def page(files):
    return files["docs/data.html"].decode()


def rows(page):
    """Return the cells of every row of the page's tables, by the first word of the row."""
    found = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    cells = [[shown(cell).strip() for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)] for row in found]
    return {row[0].split()[0].rstrip(":"): row for row in cells if row}


def section(page, name):
    return " ".join(shown(page.partition(f'<h3 id="{name}">')[2].partition("<h3")[0].partition("<h2")[0]).split())


def chapter(page, anchor):
    return " ".join(shown(page.partition(f'<h2 id="{anchor}">')[2].partition("<h2")[0]).split())


@pytest.mark.parametrize("name", names())
def test_every_released_track_stands_there_with_its_radii_and_its_pin(page, name):
    rules, row = load(name), rows(page)[name]
    assert rules.status == "released"
    assert row[1] == rules.data.dataset
    assert row[2].endswith(f"{rules.data.split} {rules.data.first}:{rules.data.ids.stop}")
    assert row[3:6] == [str(rules.threat(norm).epsilon) for norm in (Norm.LINF, Norm.L2, Norm.L0)]
    assert row[8].split()[-1].rstrip("…") in rules.data.pin
    assert rules.summary in row[0]


@pytest.mark.parametrize("name", list(DATASETS))
def test_every_data_set_stands_there_with_shape_files_terms_and_citation(page, name):
    source, row, words = DATASETS[name], rows(page)[name], section(page, name)
    assert row[1:3] == ["×".join(map(str, source.shape)), str(len(source.classes))]
    assert source.citation in words.replace(" ;", ";")
    if source.official is None:
        assert row[3] == "none"
        return
    official = source.official
    known = sorted({remote.name for files in official.files.values() for remote in files})
    assert row[3] == official.folder
    assert re.split(r"[\s,]+", row[4]) == known
    assert official.remedy in row[5]
    assert f"Terms: {official.terms}." in words
    assert (f" {name} " in chapter(page, "slices")) == official.slices


def test_what_is_done_to_photographs_stands_there(page):
    words = chapter(page, "photographs")
    for name, how in PREPARED.items():
        assert name in words
        for value in (f"{how.size} pixels", how.interpolation, f"square of {how.crop}", "RGB"):
            assert value in words


def test_a_slice_made_as_the_page_says_is_read(page, tmp_path):
    arrays = {cells[0]: cells[1] for cells in rows(page).values() if cells[0] in {"images", "labels", "ids"}}
    made = {name: np.zeros((3, 2, 2, 1) if name == "images" else 3, kind) for name, kind in arrays.items()}
    np.savez(tmp_path / "test-0000-0002.npz", **(made | {"ids": np.arange(3)}))
    layout = Layout("small", (2, 2, 1), {"test": 9}, ("a", "b"))
    assert len(from_slices(layout, tmp_path, "test", [0, 2])) == 2


def test_the_folders_of_the_page_are_those_of_the_code(page, monkeypatch):
    for variable, folder in (("BENCH_DATA_DIR", data_folder), ("BENCH_MODEL_DIR", model_folder)):
        monkeypatch.delenv(variable, raising=False)
        place = f"{variable} names, by default ~/{folder().relative_to(Path.home())}"
        assert place in " ".join(shown(page).replace(" ,", ",").split())


def test_the_rules_list_every_track_and_lead_to_the_page(files):
    rules = files["protocols.html"].decode()
    assert 'href="docs/data.html"' in rules
    for protocol in tracks.released():
        assert f"{protocol.name}</th>" in rules
    assert rules.count("none yet") == len(tracks.released())


def test_the_page_is_found_by_the_names_of_tracks():
    found = {document.name: document for document in documents.documents(None)}
    words = " ".join(section.words for section in found["data"].printed.sections)
    assert all(name in words for name in (*names(), *DATASETS, "BENCH_DATA_DIR", "BENCH_MODEL_DIR"))
    assert tracks.MARK not in words

"""Quoted figures stand on grey pages of their own, and their words stay words."""

import csv
import io
import json
import re

import pytest

from bench.errors import SubmissionError
from bench.site.build import build
from bench.site.inspect import problems
from tests.support.builders import write
from tests.support.sites import HOSTILE, literature

PAGE = "literature/quoted.html"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    root = tmp_path_factory.mktemp("submissions")
    write(root)
    literature(root, HOSTILE)
    return build(root)


def test_hostile_words_of_a_source_are_printed_as_words(files):
    assert problems(files) == []
    for path, content in files.items():
        if path.endswith(".html"):
            assert HOSTILE not in content.decode()
    assert "&lt;/script&gt;&lt;img src=x" in files[PAGE].decode()


def test_quoted_figures_are_grey_and_never_ranked_or_drawn(files):
    page = files[PAGE].decode()
    rows = re.findall(r'<tr id="[^"]+" class="claimed">.*?</tr>', page)
    assert [re.findall(r"<td[^>]*>([\d.]+) <span", row) for row in rows] == [["43.6"], ["45.40"], ["11"]]
    assert "42.6–44.6" in rows[0]
    assert "<svg" not in page.split("<main")[1]
    board = files["boards/digits-v1-linf.html"].decode()
    assert len(re.findall(r"<tbody>.*?</tbody>", board, re.DOTALL)[0].split("<tr id=")) == 2
    assert "claimed" not in json.dumps(json.loads(files["data/entries.json"]))


def test_quoted_figures_are_linked_from_home_and_from_boards_of_their_data_and_norm_alone(files):
    assert f'href="{PAGE}"' in files["index.html"].decode()
    assert f'href="../{PAGE}"' in files["boards/digits-v1-linf.html"].decode()
    assert PAGE not in files["boards/digits-v1-l2.html"].decode()
    assert "../boards/digits-v1-linf.html" in files[PAGE].decode()


def test_quoted_figures_can_be_taken_away_as_written(files):
    rows = list(csv.DictReader(io.StringIO(files["data/literature/quoted.csv"].decode())))
    found = json.loads(files["data/literature/quoted.json"])
    assert [row["robust_percent"] for row in rows] == ["43.6", "45.40", "11"]
    assert [claim["robust_percent"] for claim in found["claims"]] == ["43.6", "45.40", "11"]
    assert found["level"] == "claimed"
    assert found["doubts"]
    assert "data/literature/quoted.csv" in files["data.html"].decode()


def test_a_faulty_source_stops_the_build(tmp_path):
    path = literature(tmp_path)
    path.write_text(path.read_text("utf-8").replace("[source]", 'colour = "red"\n[source]'), "utf-8")
    with pytest.raises(SubmissionError, match=r"literature/quoted\.toml: colour: Extra inputs"):
        build(tmp_path)

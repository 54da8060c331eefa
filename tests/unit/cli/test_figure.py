"""Figures of the site as files, by the names that pages give them."""

from xml.etree import ElementTree as ET

import pytest

from bench.cli.main import run
from tests.support.pdf import Pdf
from tests.support.sites import submissions


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return submissions(tmp_path_factory.mktemp("submissions"))


def test_names_are_listed_and_each_kind_is_drawn(root, tmp_path, capsys):
    assert run(["figure", "--submissions", str(root)]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert "digits-v1-linf/density" in listed
    assert len(set(listed)) == len(listed) > 10
    drawn = tmp_path / "front.svg"
    assert run(["figure", "digits-v1-linf/density", "--out", str(drawn), "--submissions", str(root)]) == 0
    picture = ET.fromstring(drawn.read_bytes())
    assert picture.get("aria-label").startswith("Scatter plot of")
    assert b"var(" not in drawn.read_bytes()


def test_a_figure_of_an_entry_is_a_page_of_pdf(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["figure", "digits-v1/net-0-dense/waterfall-l2", "--submissions", str(root)]) == 0
    page = Pdf((tmp_path / "waterfall-l2.pdf").read_bytes())
    assert page.pages == 1
    assert "apgd-ce" in page.text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["digits-v1-linf/densty"], "did you mean 'digits-v1-linf/density'"),
        (["digits-v1/net-0-dense/pie"], "digits-v1/net-0-dense/layers"),
        (["digits-v1-linf/density", "--out", "x.jpg"], "ends in none of .svg, .pdf"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(root, tmp_path, monkeypatch, capsys, words, expected):
    monkeypatch.chdir(tmp_path)
    assert run(["figure", *words, "--submissions", str(root)]) == 2
    assert expected.lower() in capsys.readouterr().err.lower()
    assert list(tmp_path.iterdir()) == []

"""Entries that bring some threat models stand on those boards alone, beside family that brings others."""

from fractions import Fraction

import pytest

from bench.site import inspect
from bench.site.build import build
from bench.site.downloads import record, table
from bench.site.entries import read
from bench.site.sweetspots import ladders
from bench.threats import Norm
from tests.support.builders import Cell, write

HALF = {"recipe": "magnitude-global", "sparsity": Fraction(1, 2)}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return a parent under Linf, a child under Linf and L0, a stranger under L0, and one that is withheld."""
    root = tmp_path_factory.mktemp("norms")
    write(root, Cell(id="net-dense", parent="net", norms=(Norm.LINF,), witnesses=True))
    write(root, Cell(id="net-half", parent="net", norms=(Norm.LINF, Norm.L0), strength=0.8, **HALF))
    write(root, Cell(id="other", parent="other", norms=(Norm.L0,), lottery=5, level=None))
    return root


def test_a_board_lists_who_brings_its_norm_and_nobody_brings_none(root):
    boards = {board.norm: {entry.id for entry in board.entries} for board in read(root).boards}
    assert boards == {Norm.LINF: {"net-dense", "net-half"}, Norm.L0: {"net-half", "other"}}


def test_every_page_builds_without_a_problem(root):
    files = build(root)
    assert inspect.problems(files) == []
    page = files["entries/digits-v1/net-half/index.html"].decode()
    assert "Not measured under L2 1/2" in page
    assert "not measured" in page, "the family's table"
    assert "by its own cascade" in page


def test_a_ladder_and_a_difference_need_the_norm_on_both_ends(root):
    catalogue = read(root)
    linf, l0 = catalogue.boards
    assert [found.parent.id for found in ladders(catalogue, linf)] == ["net-dense"]
    assert ladders(catalogue, l0) == []


def test_downloads_leave_blank_what_is_not_there(root):
    catalogue = read(root)
    (half,) = (entry for entry in catalogue if entry.id == "net-half")
    told = record(catalogue, half)
    counts = {threat.norm.value: threat for threat in half.result.threats}
    assert told["best_known"] == {norm: threat.best_known for norm, threat in counts.items()}
    assert told["robust"] == {norm: threat.robust for norm, threat in counts.items()}
    header, *lines = (line.split(",") for line in table(catalogue, half.protocol).decode().splitlines())
    (line,) = (line for line in lines if line[0] == "net-half")
    cells = dict(zip(header, line, strict=True))
    assert cells["best_known_L2"] == cells["robust_L2"] == cells["rank_L2"] == ""
    assert cells["best_known_L0"] == str(counts["L0"].best_known)
    assert cells["robust_L0"] == str(counts["L0"].robust)

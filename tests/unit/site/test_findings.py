"""Findings say what entries show, and nothing once these are gone."""

import json
import shutil
from fractions import Fraction

import numpy as np
import pytest
from click.testing import CliRunner

from bench.cli.report import command
from bench.evaluation.plan.manifest import method
from bench.protocol.load import load
from bench.site import guides
from bench.site.edge import loose
from bench.site.entries import paired, read
from bench.site.figures import percent, signed
from bench.site.findings import compression
from bench.site.findings.finding import order, share
from bench.site.findings.questions import findings
from bench.site.mixture import candidates
from bench.site.press import Press
from bench.site.sweetspots import ladders
from bench.site.tables import doubts
from bench.submission.paired import holm
from bench.submission.statistics import kendall
from bench.threats import Norm
from tests.support.builders import Cell, board, write


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return two parents with fifteen children each."""
    return board(tmp_path_factory.mktemp("findings"), 32)


def said(root, anchor):
    """Return the finding of that name, or None."""
    return next((finding for finding in findings(read(root)) if finding.anchor == anchor), None)


def page(root):
    """Return the page of the site as text."""
    found = guides.found(read(root))
    press = Press(dict.fromkeys(("icon.svg", "site.css", "theme.js"), ""))
    return press.print(found, {}).decode().replace("&#39;", "'")


def test_every_sentence_is_on_the_page_and_in_the_report(root):
    found = findings(read(root))
    assert [finding.anchor for finding in found] == [
        "sweet-spots", "parents", "scenarios", "transfer", "norms", "presets"
    ]  # fmt: skip
    shown = page(root)
    printed = CliRunner().invoke(command, ["--submissions", str(root)]).stdout
    for finding in found:
        assert finding.rows
        assert all(len(row) == len(finding.header) for row in finding.rows)
        for sentence in (finding.question, *finding.says):
            assert sentence in shown
            assert sentence in printed
    document = json.loads(CliRunner().invoke(command, ["--submissions", str(root), "--json"]).stdout)
    assert [finding["says"] for finding in document["findings"]] == [list(finding.says) for finding in found]


def test_a_sentence_goes_with_its_evidence(root, tmp_path):
    whole = shutil.copytree(root, tmp_path / "some")
    for folder in whole.glob("*/*of*"):
        if "magnitude-global" not in folder.name:
            shutil.rmtree(folder)
    assert said(root, "sweet-spots").says != said(whole, "sweet-spots").says
    assert "of 2 ladders" in said(whole, "sweet-spots").says[0]
    for folder in whole.glob("*/*of*"):
        shutil.rmtree(folder)
    assert {finding.anchor for finding in findings(read(whole))} == {"presets"}
    for folder in whole.glob("*/*"):
        shutil.rmtree(folder)
    assert findings(read(whole)) == []
    assert "Nothing has been measured" in page(whole)


def test_children_are_counted_by_tests_that_stand_together(root):
    catalogue = read(root)
    first = catalogue.boards[0]
    pairs = [
        paired(entry, catalogue.parents[entry], first.norm)
        for entry in candidates(catalogue, first)
        if entry in catalogue.parents
    ]
    stands = holm([pair.p_value for pair in pairs])
    worse = sum(sure and pair.first < pair.second for sure, pair in zip(stands, pairs, strict=True))
    sentence = said(root, "parents").says[0]
    assert f"of {len(pairs)} pruned networks" in sentence
    assert f"and {worse} on fewer" in sentence
    assert worse > 0


def grid(root, regimes, targets=(2, 3, 4, 5, 6)):
    """Write a parent, two recipes at several sparsities, and for each regime what learned after the first of them."""
    write(root, Cell(id="net-dense", parent="net"))
    for left in targets:
        sparsity = Fraction(left - 1, left)
        cell = Cell(parent="net", sparsity=sparsity)
        stem, claim = f"net-{left}", {"sparsity": str(sparsity)}
        write(root, cell, id=f"{stem}-global", recipe="magnitude-global", strength=0.9)
        write(root, cell, id=f"{stem}-random", recipe="random-erk", strength=0.7)
        for regime, strength in regimes.items():
            write(
                root, cell, id=f"{stem}-{regime}", recipe="magnitude-global", theirs=method("magnitude-global", 1),
                claim=claim, regime=regime, strength=strength,
            )  # fmt: skip


def test_recipes_are_held_against_regimes_in_cells_where_both_differ(tmp_path):
    grid(tmp_path / "few", {"ft-adv": 1.1}, targets=(2, 3, 4, 5))
    assert said(tmp_path / "few", "recipe-or-regime") is None, "four cells tell too little"
    grid(tmp_path / "alone", {})
    assert said(tmp_path / "alone", "recipe-or-regime") is None, "one half of the comparison answers nothing"
    grid(tmp_path / "both", {"ft-adv": 1.1})
    catalogue = read(tmp_path / "both")
    first = catalogue.boards[0]
    shares = {entry.id: share(entry, first) for entry in catalogue}
    recipes, regimes = (
        sum(float(shares[f"net-{left}-global"] - shares[f"net-{left}-{other}"]) ** 2 / 2 for left in range(2, 7))
        for other in ("random", "ft-adv")
    )
    found = said(tmp_path / "both", "recipe-or-regime")
    assert found.rows[0][1:3] == ("5", "15")
    assert f"recipes make {percent(recipes / (recipes + regimes), 0)} % of the variance" in found.says[0]
    assert "its authors' word" in found.says[-1]
    (ladder, *_) = ladders(catalogue, first)
    assert set(ladder.spots) == {"magnitude-global", "random-erk", "magnitude-global, ft-adv"}


@pytest.mark.parametrize(("strength", "verdict"), [(0.9, "recipes matter more"), (1.6, "regimes matter more")])
def test_which_matters_more_is_said_where_the_interval_leaves_one_half_out(tmp_path, strength, verdict):
    grid(tmp_path, {"ft-adv": strength})
    assert verdict in said(tmp_path, "recipe-or-regime").says[0]


def test_what_is_drawn_again_is_the_same_every_time_and_holds_the_estimate():
    cells = [compression._Cell(3, recipes, 1.0) for recipes in (0.1, 0.5, 1.0, 2.0, 9.0)]
    low, high = compression._interval(cells)
    assert (low, high) == compression._interval(cells)
    assert low < compression._part(cells) < high
    alike = [compression._Cell(3, 1.0, 3.0)] * 5
    assert compression._interval(alike) == (0.25, 0.25)


def test_what_learning_brought_is_counted_pair_by_pair(tmp_path):
    grid(tmp_path, {"ft-adv": 1.4, "ft": 0.4, "bn": 0.9})
    found = said(tmp_path, "regimes")
    by_regime = {row[1]: row[2:5] for row in found.rows if row[0].startswith("Digits, L∞")}
    assert by_regime["ft-adv"] == ("5", "5", "0")
    assert by_regime["ft"] == ("5", "0", "5")
    assert by_regime["bn"][1:] == ("0", "0")
    assert any(
        "ft-adv leaves significantly more points than pruning at once in 5 of 5 pairs" in says for says in found.says
    )
    catalogue = read(tmp_path)
    first = catalogue.boards[0]
    gained = [
        share(one, first) - share(other, first)
        for left in range(2, 7)
        for one in catalogue
        for other in catalogue
        if (one.id, other.id) == (f"net-{left}-ft-adv", f"net-{left}-global")
    ]
    mean = signed(sum(gained, Fraction(0)) / 5)
    assert next(row[5] for row in found.rows if row[1] == "ft-adv") == mean
    assert f"{mean} points of a hundred in the mean" in found.says[2]


def test_where_neither_network_nor_parent_survives_no_difference_is_counted(tmp_path):
    for name in ("net", "other"):
        write(tmp_path, Cell(id=f"{name}-dense", parent=name))
        write(tmp_path, Cell(id=f"{name}-half", parent=name, sparsity=Fraction(1, 2), recipe="magnitude-global"))
    catalogue = read(tmp_path)
    assert "of 2 pruned networks" in compression.parents(catalogue).says[0]
    for entry in catalogue:
        if entry.id.startswith("net"):
            entry.robust[Norm.LINF] = np.zeros_like(entry.correct)
    sentence = compression.parents(catalogue).says[0]
    assert "of 1 pruned network " in sentence
    assert "Left out of 2" in sentence


def test_an_order_needs_five_values_on_either_side():
    values = [Fraction(number, 10) for number in range(5)]
    assert order([(one, one) for one in values]) == 1
    assert order([(one, -one) for one in values]) == -1
    assert order([(one, Fraction(0)) for one in values]) is None
    assert order([(one, min(one, Fraction(3, 10))) for one in values]) is None


def test_curves_that_nothing_was_found_inside_of_are_named(tmp_path):
    write(tmp_path, id="edge", strength=0.3)
    write(tmp_path, id="inside", strength=0.3)
    catalogue = read(tmp_path)
    named = {entry.id: entry for entry in catalogue}
    assert loose(named["edge"], Norm.LINF) is None, "as written they lie inside"
    distances = named["edge"].folder.points.distance
    radius = np.float32(load("digits-v1").threat(Norm.LINF).epsilon)
    fell = (distances[Norm.LINF] > 0) & (distances[Norm.LINF] <= radius)
    distances[Norm.LINF] = np.where(fell, radius, distances[Norm.LINF])
    found = loose(named["edge"], Norm.LINF)
    assert found is not None
    assert found.found == found.broken == int(fell.sum())
    assert loose(named["inside"], Norm.LINF) is None
    finding = next(one for one in findings(catalogue) if one.anchor == "unresolved")
    assert "1 of 2 networks have curves that are loose" in finding.says[0]
    assert any("no image was found nearer than the edge" in doubt for doubt in doubts(catalogue, named["edge"]))
    assert not any("no image was found" in doubt for doubt in doubts(catalogue, named["inside"]))


def test_orders_agree_as_the_reference_says():
    from math import isnan
    from random import Random

    from scipy.stats import kendalltau

    draws = Random(0)
    for size in (2, 3, 7, 40):
        pairs = [(float(draws.randrange(6)), float(draws.randrange(6))) for _ in range(size)]
        expected = kendalltau(*zip(*pairs, strict=True)).statistic
        assert kendall(pairs) == (None if isnan(expected) else pytest.approx(expected))
    assert kendall([]) is None
    assert kendall([(1.0, 2.0), (1.0, 3.0)]) is None


def test_holm_stops_at_the_first_that_does_not_stand():
    assert holm([0.01, 0.04, 0.03, 0.005], 0.05) == [True, False, False, True]
    assert holm([], 0.05) == []
    assert holm([0.04], 0.05) == [True]

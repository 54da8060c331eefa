"""Findings say what entries show, and nothing once these are gone."""

import json
import shutil
from fractions import Fraction

import pytest
from click.testing import CliRunner

from bench.cli.report import command
from bench.evaluation.plan.manifest import method
from bench.site import findings as module
from bench.site import guides
from bench.site.entries import paired, read
from bench.site.findings import findings
from bench.site.mixture import candidates
from bench.site.press import Press
from bench.site.sweetspots import ladders
from bench.submission.paired import holm
from bench.submission.statistics import kendall
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


def test_what_differs_in_nothing_but_its_recipe_is_held_apart_from_its_regime(tmp_path):
    half = {"parent": "net", "sparsity": Fraction(1, 2)}
    write(tmp_path, Cell(id="net-dense", parent="net"))
    for number, recipe in enumerate(("magnitude-global", "magnitude-uniform", "random-erk")):
        write(tmp_path, Cell(id=f"net-{number}", recipe=recipe, strength=0.8 - 0.1 * number, **half))
    catalogue = read(tmp_path)
    entries = [entry for entry in catalogue if not entry.dense]
    assert module._spread(entries, catalogue.boards[0], module._but_recipe) is None, "three entries tell too little"
    for number, recipe in enumerate(("magnitude-global", "magnitude-uniform", "random-erk")):
        cell = Cell(id=f"net-more-{number}", recipe=recipe, parent="net", sparsity=Fraction(9, 10), strength=0.5)
        write(tmp_path, cell)
    catalogue = read(tmp_path)
    entries = [entry for entry in catalogue if not entry.dense]
    pooled, groups, count = module._spread(entries, catalogue.boards[0], module._but_recipe)
    assert (groups, count) == (2, 6)
    by_target: dict[str | None, list[float]] = {}
    for entry in entries:
        by_target.setdefault(entry.result.pruning.target, []).append(float(module._robust(entry, catalogue.boards[0])))
    shares = list(by_target.values())
    by_hand = sum((share - sum(group) / 3) ** 2 for group in shares for share in group) / 4
    assert pooled == pytest.approx(by_hand)
    assert module._spread(entries, catalogue.boards[0], module._but_regime) is None
    assert said(tmp_path, "recipe-or-regime") is None, "one half of the comparison answers nothing"


def test_files_that_learned_after_bench_prune_are_held_against_what_the_recipe_left(tmp_path):
    write(tmp_path, Cell(id="net-dense", parent="net"))
    for sparsity in (Fraction(1, 2), Fraction(3, 4), Fraction(9, 10)):
        cell = Cell(parent="net", sparsity=sparsity)
        stem, claim = f"net-{float(sparsity)}", {"sparsity": str(sparsity)}
        write(tmp_path, cell, id=f"{stem}-global", recipe="magnitude-global", strength=0.9)
        write(tmp_path, cell, id=f"{stem}-random", recipe="random-erk", strength=0.7)
        written = method("magnitude-global", 1)
        write(
            tmp_path, cell, id=f"{stem}-ft", recipe="magnitude-global", theirs=written, claim=claim, regime="ft-adv",
            strength=1.1,
        )  # fmt: skip
    found = said(tmp_path, "recipe-or-regime")
    assert {row[1:4] for row in found.rows} == {("recipes", "3", "6"), ("regimes", "3", "6")}
    assert "recipes make" in found.says[0]
    assert "its authors' word" in found.says[-1]
    catalogue = read(tmp_path)
    (ladder,) = ladders(catalogue, catalogue.boards[0])
    assert set(ladder.spots) == {"magnitude-global", "random-erk", "magnitude-global, ft-adv"}


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

"""What a board shows beside rank and robust accuracy, recomputed from the files."""

import json
import re
from fractions import Fraction

import numpy as np
import pytest

from bench.site import charts, plots
from bench.site.build import build
from bench.site.entries import read
from bench.site.sweetspots import ladders
from bench.site.tables import columns, doubts, notes, rows
from bench.submission.schema import Flag, Level
from bench.threats import Norm
from tests.support.builders import ZERO_GRADIENTS, write
from tests.support.sites import submissions


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return submissions(tmp_path_factory.mktemp("submissions"))


@pytest.fixture(scope="module")
def catalogue(root):
    return read(root)


def survivors(points, norm):
    """Recompute which points stand, from the distances alone."""
    radius = {Norm.LINF: 0.1 * (1 + 1e-5), Norm.L2: 0.5 * (1 + 1e-5), Norm.L0: 2}[norm]
    return (points["prediction"] == points["label"]) & (points[f"distance_{norm}"] > radius)


def test_other_norms_scenarios_and_distances_stand_beside_each_other(root, catalogue):
    board = catalogue.boards[0]
    shown = {column.key: column for column in columns(board)}
    for row in rows(catalogue, board):
        folder = root / "digits-v1" / row.entry.id
        points = np.load(folder / "points.npz")
        standing = {norm: survivors(points, norm) for norm in Norm}
        for key, norm in (("robust-l2", Norm.L2), ("robust-l0", Norm.L0)):
            assert shown[key].cell(row).text == f"{100 * standing[norm].sum() / 500:.1f}"
        everything = standing[Norm.LINF] & standing[Norm.L2] & standing[Norm.L0]
        assert shown["union"].cell(row).text == f"{100 * everything.sum() / 500:.1f}"
        median = shown["median"].cell(row).text
        beyond = np.sort(points["distance_Linf"])[249]
        assert median == ("∞" if np.isinf(beyond) else f"{beyond:.3g}")
        told = json.loads((folder / "result.json").read_text("utf-8"))["scenarios"]
        transfer = f"{100 * told['transfer']['robust']['Linf'] / 500:.1f}" if "transfer" in told else "–"
        assert shown["scenario-transfer"].cell(row).text == transfer


def test_a_hollow_mark_stands_before_every_rank_that_is_not_given(root, catalogue):
    board = catalogue.boards[0]
    page = build(root)[board.address].decode()
    for entry in board.entries:
        (row,) = re.findall(rf'<tr id="{entry.id}".*?</tr>', page, re.DOTALL)
        assert f'<i class="dot {"full" if entry in board.places else "hollow"}"></i>' in row


def test_a_withheld_entry_shows_no_figure_that_a_check_doubts(tmp_path):
    write(tmp_path, id="doubted", flags=(Flag(check="noise", level=Level.WITHHOLD, figure=1, threshold=0, says="No."),))
    catalogue = read(tmp_path)
    (row,) = rows(catalogue, catalogue.boards[0])
    shown = {column.key: column.cell(row).text for column in columns(catalogue.boards[0])}
    assert shown["robust"] == "withheld"
    assert {shown[key] for key in ("robust-l2", "robust-l0", "union", "median", "after-apgd-ce")} == {"–"}


def test_a_doubt_is_told_once_and_in_words(tmp_path):
    dead = Flag(check="collapse", level=Level.WITHHOLD, figure=0.1, threshold=0.2, says="Collapsed: it guesses.")
    write(tmp_path, id="dead", collapsed=True, flags=(dead, ZERO_GRADIENTS), level=None)
    catalogue = read(tmp_path)
    (entry,) = catalogue
    assert doubts(catalogue, entry) == ["Collapsed: it guesses.", ZERO_GRADIENTS.says]
    assert notes(catalogue, entry)[1:] == ["zero gradients (warn)"]


def test_where_nothing_is_ranked_the_best_measured_entries_are_drawn_and_marked(tmp_path):
    write(tmp_path, id="weak", level=None, strength=0.5)
    write(tmp_path, id="strong", level=None)
    write(tmp_path, id="dead", level=None, collapsed=True, accuracy=0.1)
    catalogue = read(tmp_path)
    assert [entry.id for entry in plots.first(catalogue, catalogue.boards[0])] == ["strong", "weak"]
    files = build(tmp_path)
    home, page = (files[path].decode() for path in ("index.html", catalogue.boards[0].address))
    best = catalogue.boards[0].best
    assert best is not None
    assert f"{100 * best.survivors(Norm.LINF) / 500:.1f}<span" in home
    assert "not ranked: self-reported" in home
    assert "Nothing is ranked yet" in page
    assert 'id="fig-curves-linf"' in page


def test_fronts_and_trails_join_the_entries_that_they_should(catalogue):
    board = catalogue.boards[0]
    drawn = json.loads(plots.pareto(catalogue, board, "nonzero", "page").spec)
    data = {part["name"]: part.get("values") for part in drawn["data"]}
    alive = [entry for entry in board.entries if not entry.result.collapsed and not entry.withheld]
    for of, members in zip(charts.FRONTS, (alive, [e for e in alive if e in board.places]), strict=True):
        points = {(e.result.pruning.nonzero, round(e.survivors(Norm.LINF) / 500, 6)) for e in members}
        best = {one for one in points if not any(o != one and o[0] <= one[0] and o[1] >= one[1] for o in points)}
        assert {(row["x"], row["robust"]) for row in data["front"] if row["of"] == of} == best
    trails = {}
    for row in data["trails"]:
        trails.setdefault(row["trail"], []).append(row["x"])
    assert len(trails) == 3
    assert all(steps == sorted(steps, reverse=True) and len(steps) > 1 for steps in trails.values())


def test_a_sweet_spot_that_costs_clean_accuracy_says_so(tmp_path):
    write(tmp_path, id="small-dense")
    write(tmp_path, id="half", recipe="magnitude-global", sparsity=Fraction(1, 2), accuracy=0.7, strength=3.0)
    catalogue = read(tmp_path)
    (ladder,) = ladders(catalogue, catalogue.boards[0])
    spot = ladder.spots["magnitude-global"]
    assert spot is not None
    assert spot.clean.p_value < 0.05
    page = build(tmp_path)["sweet-spots.html"].decode()
    assert "dense, but less accurate when nobody attacks" in page

"""What a board shows beside rank and robust accuracy, recomputed from the files."""

import json
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

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
from tests.support.sites import crowded, submissions


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
    assert [entry.id for entry in plots.first(catalogue, catalogue.boards[0])] == ["strong"]
    files = build(tmp_path)
    home, page = (files[path].decode() for path in ("index.html", catalogue.boards[0].address))
    (band,) = catalogue.boards[0].bands
    assert band.leader is not None
    assert f'"dot hollow"></i><b>{100 * band.leader.survivors(Norm.LINF) / 500:.1f} %</b>' in home
    assert "Nothing is ranked yet" in page
    assert 'id="fig-curves-linf"' in page


SIZES = {
    "density": lambda pruning: round(1 - pruning.zeros / pruning.prunable, 9),
    "nonzero_macs": lambda pruning: pruning.nonzero_macs,
    "bytes_packed": lambda pruning: pruning.bytes_packed,
}


@pytest.mark.parametrize("measure", plots.MEASURES)
def test_fronts_and_trails_join_the_entries_that_they_should(catalogue, measure):
    board = catalogue.boards[0]
    drawn = json.loads(plots.pareto(catalogue, board, measure, "page").spec)
    data = {part["name"]: part.get("values") for part in drawn["data"]}
    alive = [entry for entry in board.entries if not entry.result.collapsed and not entry.withheld]
    for of, members in zip(charts.FRONTS, (alive, [e for e in alive if e in board.places]), strict=True):
        points = {(SIZES[measure](e.result.pruning), round(e.survivors(Norm.LINF) / 500, 6)) for e in members}
        best = {one for one in points if not any(o != one and o[0] <= one[0] and o[1] >= one[1] for o in points)}
        assert {(row["x"], row["robust"]) for row in data["front"] if row["of"] == of} == best
    trails = {}
    for row in data["trails"]:
        trails.setdefault(row["trail"], []).append(row["x"])
    assert len(trails) == 3
    assert all(steps == sorted(steps, reverse=True) and len(steps) > 1 for steps in trails.values())


def test_robustness_that_costs_clean_accuracy_is_no_sweet_spot(tmp_path):
    write(tmp_path, id="small-dense")
    write(tmp_path, id="half", recipe="magnitude-global", sparsity=Fraction(1, 2), accuracy=0.7, strength=3.0)
    catalogue = read(tmp_path)
    (ladder,) = ladders(catalogue, catalogue.boards[0])
    spot = ladder.spots["magnitude-global"]
    assert ladder.parent.survivors(Norm.LINF) < ladder.rungs[0][0].survivors(Norm.LINF)
    assert (spot.entry, spot.end) == (None, "the first step loses too much clean accuracy")
    page = build(tmp_path)["sweet-spots.html"].decode()
    assert "the first step loses too much clean accuracy" in page
    assert "0 of 1 have a sweet spot" in page


def test_a_parent_with_hardly_a_robust_point_makes_no_sweet_spot(tmp_path):
    write(tmp_path, id="small-dense", strength=0.16)
    write(tmp_path, id="half", recipe="magnitude-global", sparsity=Fraction(1, 2), strength=0.16)
    catalogue = read(tmp_path)
    (ladder,) = ladders(catalogue, catalogue.boards[0])
    held = ladder.parent.survivors(Norm.LINF)
    assert 0 < held < 35
    (spot,) = ladder.spots.values()
    assert spot.entry is None
    assert spot.end == f"cannot be tested: the parent holds {held} robust points, 35 are needed"


def test_a_collapsed_step_ends_a_ladder_though_its_figures_are_withheld(tmp_path):
    dead = Flag(check="collapse", level=Level.WITHHOLD, figure=0.1, threshold=0.2, says="Collapsed: it guesses.")
    write(tmp_path, id="small-dense")
    pruned = {"recipe": "magnitude-global"}
    write(tmp_path, id="half", sparsity=Fraction(1, 2), **pruned)
    write(tmp_path, id="dead", sparsity=Fraction(9, 10), accuracy=0.1, collapsed=True, flags=(dead,), **pruned)
    catalogue = read(tmp_path)
    (ladder,) = ladders(catalogue, catalogue.boards[0])
    spot = ladder.spots["magnitude-global"]
    assert spot.entry is not None
    assert (spot.entry.id, spot.end) == ("half", "the next step has collapsed")
    assert "withheld" in build(tmp_path)[catalogue.boards[0].address].decode()


def test_pruned_networks_are_ranked_in_bands_and_dense_ones_are_the_reference(tmp_path):
    write(tmp_path, id="small-dense", strength=2.0)
    for number, (share, strength) in enumerate([("1/4", 0.5), ("1/2", 0.9), ("1/2", 1.0), ("1/2", 0.3), ("9/10", 0.6)]):
        sparsity = Fraction(share)
        pruned = {"recipe": "magnitude-global", "sparsity": sparsity, "strength": strength}
        write(tmp_path, id=f"pruned-{number}", lottery=1, **pruned)
    catalogue = read(tmp_path)
    board = catalogue.boards[0]
    assert [band.label for band in board.bands] == ["below 50 %", "50–75 %", "90–95 %", "dense reference"]
    ranks = [{entry.id: str(place) for entry, place in band.places.items()} for band in board.bands]
    assert ranks[0] == {}, "a dense network less a few weights would head it for good"
    (little,) = board.bands[0].entries
    assert catalogue.unranked(little) == "below 50 % pruned: too little to be told from a dense network"
    assert ranks[1] == {"pruned-2": "1", "pruned-1": "2", "pruned-3": "3"}
    assert ranks[2] == {"pruned-4": "1"}
    assert ranks[3] == {}
    files = build(tmp_path)
    page = files[board.address].decode()
    order = [found[0] or found[1] for found in re.findall(r'<tr (?:class="band" data-band="(.*?)"|id="(.*?)")', page)]
    assert order == ["below 50 %", "pruned-0", "50–75 %", "pruned-2", "pruned-1", "pruned-3", "90–95 %", "pruned-4",
                     "dense reference", "small-dense"]  # fmt: skip
    assert "4 of 5 pruned networks carry a rank" in page
    home = files["index.html"].decode()
    leaders = [board.bands[place].entries[0].title for place in range(4)]
    places = [home.index(f'<span class="quiet">{title}</span>') for title in leaders]
    assert places == sorted(places)
    assert "rank 2 of 3, 50–75 % pruned" in files["entries/digits-v1/pruned-1/index.html"].decode()


def test_entries_that_nobody_measured_again_stand_in_their_band_without_a_rank(tmp_path):
    pruned = {"recipe": "magnitude-global", "sparsity": Fraction(9, 10)}
    write(tmp_path, id="claimed-best", strength=2.0, level=None, **pruned)
    write(tmp_path, id="again", **pruned)
    (band,) = read(tmp_path).boards[0].bands
    assert [entry.id for entry in band.entries] == ["claimed-best", "again"]
    assert {entry.id: str(place) for entry, place in band.places.items()} == {"again": "1"}
    assert band.leader is band.entries[1]


def test_networks_without_channels_stand_by_the_compute_that_is_gone_too():
    catalogue = read(Path(__file__).parents[3] / "submissions")
    board = next(board for board in catalogue.boards if board.protocol.name == "digits-v1")
    found = [(band.label, [entry.id for entry in band.entries]) for band in board.channels]
    expected = [entry for entry in board.entries if entry.result.pruning.structure == "channel"]
    assert sorted(name for _, names in found for name in names) == sorted(entry.id for entry in expected)
    for entry in expected:
        pruning = entry.result.pruning
        assert entry.macs_removed == 1 - Fraction(pruning.macs, pruning.parent_macs)
    assert found


@pytest.mark.parametrize("dense", [True, False])
def test_a_board_on_which_all_that_was_pruned_collapsed_builds(tmp_path, dense):
    dead = Flag(check="collapse", level=Level.WITHHOLD, figure=0.1, threshold=0.2, says="Collapsed: it guesses.")
    if dense:
        write(tmp_path, id="small-dense")
    for share in (Fraction(1, 2), Fraction(9, 10)):
        name = f"dead-{share.denominator}"
        gone = {"sparsity": share, "accuracy": 0.1, "collapsed": True, "flags": (dead,)}
        write(tmp_path, id=name, recipe="magnitude-global", **gone)
    files = build(tmp_path)
    assert ("boards/digits-v1-linf.html" in files) == ("sweet-spots.html" in files)
    assert not any("ladder" in name or "sweet-spots/" in name for name in files)


def test_a_front_of_thousands_draws_one_of_those_on_one_spot(tmp_path):
    catalogue, crowd = crowded(tmp_path, 1500)
    whole = plots.pareto(catalogue, replace(crowd, entries=crowd.entries[:600]), "density", "page")
    thin = plots.pareto(catalogue, crowd, "density", "page")
    shown = len(json.loads(thin.rows)["points"]["x"])
    assert len(json.loads(whole.rows)["points"]["x"]) == sum(not entry.withheld for entry in crowd.entries[:600])
    assert shown < 200
    assert f"one of them is drawn: {shown} in all" in thin.says
    front = json.loads(thin.rows)["front"]
    points = json.loads(thin.rows)["points"]
    assert set(zip(front["x"], front["robust"], strict=True)) <= set(zip(points["x"], points["robust"], strict=True))

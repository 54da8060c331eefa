"""What Python code reads from a run is what the run holds."""

import json
import re
from fractions import Fraction

import numpy as np
import pytest

import bench
from bench.errors import InputError, UsageError
from bench.submission.arrays import read_arrays
from tests.support.builders import write

DENSE = {"id": "net-dense", "parent": "net", "strength": 1.0}
SPARSE = {
    "id": "net-sparse",
    "parent": "net",
    "recipe": "magnitude-global",
    "sparsity": Fraction(3, 4),
    "strength": 0.7,
}


@pytest.fixture
def dense(tmp_path):
    return bench.Result.read(write(tmp_path, **DENSE))


@pytest.fixture
def sparse(tmp_path):
    return bench.Result.read(write(tmp_path, **SPARSE))


def beyond(result, norm, epsilon):
    """Count the points whose nearest adversarial image lies beyond a radius."""
    distance = read_arrays(result.folder / "points.npz")[f"distance_{norm}"]
    return int((distance > float(Fraction(epsilon)) * (1 + 1e-6)).sum())


def alone(result, norm):
    """Count the points that no attack of this norm's cascade breaks."""
    arrays = read_arrays(result.folder / "points.npz")
    fallen = [bits for name, bits in arrays.items() if name.startswith(f"broken_{norm}_")]
    return int(((arrays["prediction"] == arrays["label"]) & ~np.logical_or.reduce(fallen)).sum())


def test_counts_are_shares_of_all_points(dense):
    assert dense.clean == Fraction(dense.record.clean.correct, 500)
    for norm, epsilon in (("Linf", "1/10"), ("L2", "1/2"), ("L0", "2")):
        assert dense.best_known(norm) == Fraction(beyond(dense, norm, epsilon), 500)
        assert dense.robust(norm) == Fraction(alone(dense, norm), 500) >= dense.best_known(norm)
        assert dense.standing(norm).sum() == 500 * dense.best_known(norm)
    assert dense.standing("Linf").dtype == bool


def test_words_are_few(dense):
    shares = [int(500 * share) for share in (dense.clean, *(dense.best_known(norm) for norm in ("Linf", "L2", "L0")))]
    assert repr(dense) == (
        f"Result({str(dense.folder)!r}: clean {shares[0]}/500, Linf 1/10 {shares[1]}/500, L2 1/2 {shares[2]}/500, "
        f"L0 2 {shares[3]}/500)"
    )
    assert str(dense) == dense.table()


def test_the_table_is_the_row_of_the_command_line(sparse):
    caption, columns, row, *_ = sparse.table().splitlines()
    assert caption.startswith("Weights left, sparsity in %")
    assert " ".join(columns.split()) == "entry points weights sparse clean Linf 1/10 L2 1/2 L0 2 seconds"
    figures = [sparse.clean, *(sparse.best_known(norm) for norm in ("Linf", "L2", "L0"))]
    brackets = [f"({float(100 * sparse.robust(norm)):.1f})" for norm in ("Linf", "L2", "L0")]
    assert re.findall(r"\(.*?\)", row) == brackets
    assert re.sub(r"\(.*?\)", "", row).split()[3:-1] == [
        f"{100 * sparse.record.pruning.zeros / sparse.record.pruning.prunable:.1f}",
        *(f"{float(100 * figure):.1f}" for figure in figures),
    ]


def test_a_data_frame_has_a_row_for_each_threat_model(sparse):
    frame = sparse.to_pandas()
    assert list(zip(frame.norm, frame.epsilon, strict=True)) == [("Linf", "1/10"), ("L2", "1/2"), ("L0", "2")]
    assert list(frame.robust) == [int(500 * sparse.robust(norm)) for norm in frame.norm]
    assert list(frame.best_known) == [int(500 * sparse.best_known(norm)) for norm in frame.norm]
    assert set(frame.correct) == {sparse.record.clean.correct}
    assert frame.sparsity.to_numpy() == pytest.approx(0.75, abs=1e-3)
    assert frame.forwards.to_list() == [
        sum(attack.forwards for attack in threat.attacks) for threat in sparse.record.threats
    ]
    assert "net-sparse" in sparse._repr_html_()


@pytest.mark.parametrize("norm", ["Linf", "L2", "L0"])
def test_a_curve_draws_the_shares_beyond_each_radius_for_every_result(dense, sparse, norm):
    chart = sparse.curve(norm, dense).to_dict()
    drawn = chart["layer"][-1]["data"]["values"]
    assert {row["series"] for row in drawn} == {"net-sparse", "net-dense"}
    for row in drawn:
        result = {"net-sparse": sparse, "net-dense": dense}[row["series"]]
        assert row["robust"] == pytest.approx(beyond(result, norm, row["says"]) / 500, abs=1e-6)
        assert row["low"] <= row["robust"] <= row["high"]
    assert len(drawn) == 2 * len(sparse.record.curves[norm].epsilon)
    (rule,) = chart["layer"][1]["data"]["values"]
    assert rule["says"] == {"Linf": "1/10", "L2": "1/2", "L0": "2"}[norm]
    assert "var(--" not in json.dumps(chart)


def test_the_first_norm_is_drawn_where_none_is_named(dense):
    assert dense.curve().to_dict() == dense.curve("Linf").to_dict()
    assert "L\u221e" in json.dumps(dense.curve().to_dict(), ensure_ascii=False)


def test_what_was_not_measured_is_told(dense):
    unmeasured = dense.record.model_copy(update={"threats": dense.record.threats[:1], "curves": {}})
    poor = bench.Result(dense.folder, unmeasured)
    with pytest.raises(UsageError, match="was not attacked under L2; it was under Linf"):
        poor.robust("L2")
    with pytest.raises(UsageError, match="net-dense has no curve of L2; it has none"):
        dense.curve("L2", poor)
    with pytest.raises(UsageError, match="no curve of any norm"):
        poor.curve()


def test_results_are_compared_point_by_point(dense, sparse):
    frame = sparse.compare(dense)
    assert frame.what.to_list() == ["clean", "Linf 1/10", "L2 1/2", "L0 2"]
    ours, theirs = sparse.standing("L2"), dense.standing("L2")
    row = frame.iloc[2]
    assert (row.only_first, row.only_second) == ((ours & ~theirs).sum(), (theirs & ~ours).sum())
    assert (row["first"], row.second, row.points) == (ours.mean(), theirs.mean(), 500)
    assert row.difference == pytest.approx(ours.mean() - theirs.mean())
    assert row.low < row.difference < row.high
    assert row.p < 1e-3
    assert row.verdict == "worse"
    assert np.isnan(frame.kept[0])


def test_results_on_other_points_are_not_compared(dense, tmp_path):
    other = bench.Result.read(write(tmp_path / "other", id="cifar", protocol="cifar10-v1"))
    with pytest.raises(InputError, match="net-dense is measured on digits test, cifar on cifar10 test"):
        dense.compare(other)

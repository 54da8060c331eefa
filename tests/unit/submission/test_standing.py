"""The headline: points without any verified witness, and beside them what the cascade leaves by itself."""

from fractions import Fraction

import numpy as np
import pytest

from bench.errors import InputError
from bench.submission.check import examine, problems
from bench.submission.compare import outcomes, read_run
from bench.submission.standing import best_known
from bench.threats import Norm
from tests.support.builders import Cell, write
from tests.unit.submission.test_check import change_points, rewrite

MORE = (Norm.LINF, Norm.L0)


def test_the_cascade_alone_leaves_more_than_is_known_to_stand(tmp_path):
    folder, _ = examine(write(tmp_path))
    for norm, found in best_known(folder.result, folder.points).items():
        record = folder.result.threat(norm)
        assert (found.count, found.alone) == (record.best_known, record.robust)
        assert found.count < found.alone, "the board would not differ from the cascade"
        assert not (found.points & ~folder.points.robust(norm)).any()
        assert not (found.points & ~folder.points.correct).any()


@pytest.mark.parametrize("norms", [(Norm.L0,), (Norm.L2,), MORE])
def test_one_or_two_threat_models_are_a_whole_submission(tmp_path, norms):
    folder = write(tmp_path, norms=norms, witnesses=True)
    assert problems(folder) == []
    found, _ = examine(folder)
    assert tuple(best_known(found.result, found.points)) == norms
    assert tuple(norm for norm in Norm if norm in found.result.curves) == norms


def test_networks_are_compared_under_what_both_bring_and_by_what_is_known(tmp_path):
    one, two = (
        read_run(write(tmp_path, Cell(id=name, norms=norms, strength=strength)))
        for name, norms, strength in (("one", tuple(Norm), 1.0), ("two", MORE, 0.5))
    )
    clean, linf, l0 = outcomes(one, two)
    assert (clean.what, linf.what, l0.what) == ("clean", "Linf 1/10", "L0 2")
    for outcome, norm in ((linf, Norm.LINF), (l0, Norm.L0)):
        assert outcome.pair.both + outcome.pair.first == one.result.threat(norm).best_known
        assert outcome.pair.both + outcome.pair.second == two.result.threat(norm).best_known


def test_a_child_keeps_of_its_parent_what_both_were_measured_on(tmp_path):
    parent = read_run(write(tmp_path, Cell(id="small-dense", parent="small", norms=(Norm.LINF,))))
    child = read_run(write(tmp_path, Cell(id="child", recipe="magnitude-global", sparsity=Fraction(1, 2), norms=MORE)))
    assert child.result.model.parent_sha256 == parent.result.model.weights_sha256
    clean, linf = outcomes(child, parent)
    assert clean.retention is None
    assert linf.retention is not None


def test_a_count_of_the_headline_that_the_points_do_not_bear_out_is_no_run(tmp_path):
    folder = write(tmp_path)
    rewrite(folder, threats__0__best_known=lambda best: best + 1)
    with pytest.raises(InputError, match="are not of one run"):
        read_run(folder)


def test_a_point_broken_by_the_cascade_that_lies_outside_the_ball_is_found(tmp_path):
    folder = write(tmp_path)

    def break_a_standing_one(bits):
        bits[np.flatnonzero(standing)[:1]] = True

    found, _ = examine(folder)
    standing = best_known(found.result, found.points)[Norm.L2].points
    change_points(folder, broken_L2_square=break_a_standing_one)
    assert any("a point is broken by the cascade whose distance is" in problem for problem in problems(folder))

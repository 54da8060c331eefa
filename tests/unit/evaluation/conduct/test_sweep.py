"""A grid gives the same results on one process and on two, and is finished only once."""

from contextlib import closing
from fractions import Fraction

from bench.evaluation.conduct.sweep import cells, sweep
from bench.evaluation.executors.local import Local
from bench.models.source import ModelRef
from bench.protocol.load import load
from bench.submission.arrays import read_arrays

MODELS = [ModelRef.parse("embedded:digits-tiny-linf")]


def test_two_workers_measure_what_one_measures_and_finished_cells_stay(tmp_path):
    found = {}
    for workers in (1, 2):
        out = tmp_path / str(workers)
        dense, pruned = cells(
            load("digits-smoke-v1"), MODELS, ["magnitude-global"], [Fraction(1, 2)], regime="one-shot", out=out, limit=6
        )
        assert ([cell.name for cell in dense], [cell.name for cell in pruned]) == (
            ["digits-tiny-linf--dense--points-0-6"],
            ["digits-tiny-linf--magnitude-global-50--points-0-6"],
        )
        with closing(Local(workers, 1)) as executor:
            assert [outcome.says for outcome in sweep(dense, pruned, executor)] == ["measured", "measured"]
            assert [outcome.says for outcome in sweep(dense, pruned, executor)] == ["there already", "there already"]
        found[workers] = {
            cell.name: {name: values.tolist() for name, values in read_arrays(cell.out / "points.npz").items()}
            for cell in (*dense, *pruned)
        }
    assert found[1] == found[2]

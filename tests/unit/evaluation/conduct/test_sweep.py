"""A grid gives the same bytes whoever carries it out, is finished only once, and a cell that is lost is tried again."""

import shutil
from collections import deque
from contextlib import closing
from fractions import Fraction

import pytest

from bench.errors import UsageError
from bench.evaluation.conduct.grid import Block, grid
from bench.evaluation.conduct.shards import deal, merge, place, shards_in
from bench.evaluation.conduct.sweep import BATCHES, Sweep
from bench.evaluation.executors.executor import Ended
from bench.evaluation.executors.here import Here
from bench.evaluation.executors.local import Local
from bench.evaluation.plan.ask import File, Said
from bench.evaluation.record.ledger import Ledger, read_lines, record_of
from bench.protocol.load import load
from bench.submission.arrays import read_arrays
from bench.submission.files import RESULT_FILE, read_result
from bench.threats import Norm
from tests.support.runs import told

ONE = "digits-tiny-linf--dense--points-0-4--l2"
RULES = load("digits-smoke-v1")
DENSE, HALF = "digits-tiny-linf--dense--points-0-4", "digits-tiny-linf--magnitude-global-50--points-0-4"
TINY = Block(("embedded:digits-tiny-linf",), ("magnitude-global",), (Fraction(1, 2),))


def cells(out, block=TINY, limit=4, **plain):
    return grid([block], RULES, preset="standard", out=out, limit=limit, **plain)


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Return the folder of a sweep in this process."""
    out = tmp_path_factory.mktemp("here")
    outcomes = list(Sweep(cells(out), Here(), ledger=Ledger(out)).run())
    assert [(outcome.name, outcome.says) for outcome in outcomes] == [(DENSE, "measured"), (HALF, "measured")]
    return out


def test_a_worker_that_sees_no_file_of_ours_brings_back_the_same_bytes_and_finished_cells_stay(here, tmp_path):
    with closing(Local(1, 1, away=True)) as executor:
        assert [outcome.says for outcome in Sweep(cells(tmp_path), executor).run()] == ["measured", "measured"]
        assert [outcome.says for outcome in Sweep(cells(tmp_path), executor).run()] == ["there already"] * 2
    for name in (DENSE, HALF):
        assert told(tmp_path / name) == told(here / name)
        assert (tmp_path / name / "journal" / "run.json").read_bytes() == (
            here / name / "journal" / "run.json"
        ).read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {DENSE, HALF}


def test_parts_give_what_one_worker_gives(here, tmp_path):
    found, heard = {}, []
    for many in (1, 2):
        out = tmp_path / str(many)
        executor = Here() if many == 1 else Local(2, 1)
        with closing(executor):
            cut = Sweep(cells(out, norms=(Norm.L2,))[:1], executor, lambda *said: heard.append(said), chunk=2)
            assert [one.says for one in cut.run()] == ["measured"]
        assert {name for name, _ in heard} == {ONE}
        assert {said.to for _, said in heard} >= {"watch", "announce", "stage"}
        found[many] = told(out / ONE)
        assert {path.name for path in out.iterdir()} == {ONE}
    assert found[1] == found[2]
    whole, cut = (read_result(folder / RESULT_FILE) for folder in (here / DENSE, tmp_path / "1" / ONE))
    assert cut.threat(Norm.L2).robust == whole.threat(Norm.L2).robust
    ours, theirs = (read_arrays(folder / "points.npz") for folder in (here / DENSE, tmp_path / "1" / ONE))
    assert ours["distance_L2"] == pytest.approx(theirs["distance_L2"], abs=1e-6)  # batches of another size round so


class Losing:
    """Loses what it is given, each task so many times, and says why."""

    away = False

    def __init__(self, times, why):
        self._left, self._why, self._waiting = times, why, deque()
        self.batches = []

    place = Here.place

    def submit(self, name, task):
        self._waiting.append((name, task))

    def ended(self, hear):
        while self._waiting:
            name, task = self._waiting.popleft()
            self.batches.append(task.args[0].request.batch_size)
            if self._left:
                self._left -= 1
                yield Ended(name, None, "it is gone", self._why)
            else:
                yield Ended(name, None, "it is there, and refuses")

    def close(self):
        self._waiting.clear()


@pytest.mark.parametrize(
    ("times", "why", "batches", "says"),
    [
        (9, "memory", [None, *BATCHES], "it is gone; tried 3 times, the last in batches of at most 8 points"),
        (1, "process", [None, None], "it is there, and refuses"),
    ],
)
def test_a_cell_whose_worker_is_gone_is_tried_again_and_then_recorded(tmp_path, times, why, batches, says):
    executor = Losing(times, why)
    dense, child = Sweep(cells(tmp_path), executor, ledger=Ledger(tmp_path)).run()
    assert (dense.folder, dense.says) == (None, says)
    assert child.says == f"not measured, for its dense parent {DENSE} failed"
    assert executor.batches == batches
    lines, _ = read_lines(tmp_path)
    assert [line.state for line in lines] == ["running", *["again"] * (len(batches) - 1), "failed", "failed"]
    assert lines[-2].says == says


def test_a_grid_takes_all_that_an_evaluation_takes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = File("digits-tiny")
    for name in ("dense", "pruned"):
        (tmp_path / f"{name}.safetensors").write_bytes(name.encode())  # named, and not opened before it is measured
    told_of = Said(parent="dense.safetensors", method="by hand")
    came = Block(("pruned.safetensors",), sparsities=(Fraction(1, 2),), file=file, said=told_of)
    found = grid(
        [TINY, came, Block(("python:mine:net",), ("magnitude-2of4", "dense"))],
        RULES,
        preset="fast",
        out=tmp_path / "grid",
        norms=(Norm.L2,),
        device="cpu",
        seed=3,
    )
    shown = {cell.name.split("--l2")[0]: cell.parent and cell.parent.split("--l2")[0] for cell in found}
    dense = [name for name, parent in shown.items() if parent is None]
    assert [name.split("-")[0] for name in dense] == ["digits", "dense", "python" if "python" in dense[2] else "mine"]
    assert [parent for parent in shown.values() if parent] == [dense[0], dense[1], dense[2]]
    for cell in found:
        request = cell.plan.request
        assert (request.norms, request.device, request.seed, request.parent_first) == ((Norm.L2,), "cpu", 3, False)
        assert cell.plan.protocol.preset == "fast"
        assert cell.plan.out.parent == tmp_path / "grid"
    with pytest.raises(UsageError, match="came pruned, so it is one cell"):
        grid([Block(("pruned.safetensors",), sparsities=(Fraction(1, 2), Fraction(1, 3)), file=file, said=told_of)],
             RULES, preset="fast", out=tmp_path)  # fmt: skip


def test_shards_hold_every_cell_once_and_each_parent_where_it_is_needed(tmp_path):
    block = Block(
        ("embedded:digits-tiny-linf", "embedded:digits-mlp-linf"),
        ("magnitude-global", "magnitude-lamp"),
        (Fraction(1, 2), Fraction(3, 4), Fraction(9, 10)),
    )
    whole = cells(tmp_path, block)
    for many in (1, 3, 5, 40):
        dealt = [deal(whole, (number, many), tmp_path) for number in range(1, many + 1)]
        pruned = [cell.name for shard in dealt for cell in shard if not cell.plan.request.dense]
        assert sorted(pruned) == sorted(cell.name for cell in whole if not cell.plan.request.dense)
        dense = [cell.name for shard in dealt for cell in shard if cell.plan.request.dense]
        assert 2 <= len(dense) <= min(many + 1, 12)
        for number, shard in enumerate(dealt, start=1):
            assert {cell.parent for cell in shard} <= {None, *(cell.name for cell in shard)}
            assert {cell.plan.out.parent for cell in shard} <= {place(tmp_path, (number, many))}


def test_shards_are_merged_once_all_are_there_and_none_says_otherwise(here, tmp_path):
    whole = cells(tmp_path, Block(TINY.models, TINY.recipes, (Fraction(1, 2), Fraction(9, 10))))
    for number in (1, 2):
        shard = deal(whole, (number, 2), tmp_path)
        out = place(tmp_path, (number, 2))
        assert [cell.plan.request.dense for cell in shard] == [True, False]
        Ledger(out).begin(record_of("digits-smoke-v1", "standard", [(c.name, c.parent, 4) for c in shard], (number, 2)))
        shutil.copytree(here / DENSE, out / DENSE)
        if number == 1:
            shutil.copytree(here / HALF, out / HALF)
    assert merge(tmp_path, shards_in(tmp_path)[:1]) == ["all of shard 2 of 2"]
    (missing,) = merge(tmp_path, shards_in(tmp_path))
    assert missing == HALF.replace("-50", "-90")
    assert told(tmp_path / DENSE) == told(here / DENSE)
    # a parent that is there already is not measured again
    (child,) = deal(whole, (2, 2), tmp_path)
    assert child.plan.request.parent_run == tmp_path / DENSE

"""What is sent to another machine is all that a cell needs there, and arrives once."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from bench.errors import BenchError, InputError, UsageError
from bench.evaluation.conduct import away
from bench.evaluation.conduct.grid import Block, grid
from bench.evaluation.conduct.post import Post
from bench.evaluation.executors.here import Here
from bench.evaluation.plan.ask import File, Said
from bench.evaluation.plan.naming import model_name
from bench.evaluation.plan.prepare import load_calibration, load_held_out, load_points, load_whole
from bench.lock import held, unfinished
from bench.protocol.load import load

RULES = load("digits-v1")


class Counting(Here):
    """Counts what is placed."""

    away = True

    def __init__(self):
        super().__init__()
        self.placed = []

    def place(self, files):
        self.placed += files
        return super().place(files)


@pytest.fixture
def cells(tmp_path):
    for name in ("dense", "pruned"):
        (tmp_path / f"{name}.safetensors").write_bytes(name.encode())
    told = Said(parent=str(tmp_path / "dense.safetensors"), method="by hand")
    came = Block((str(tmp_path / "pruned.safetensors"),), file=File("digits-tiny"), said=told)
    made = Block(("embedded:digits-tiny-linf",), ("wanda",), (Fraction(1, 2),))
    return grid([came, made], RULES, preset="standard", out=tmp_path / "grid", limit=7)


def test_points_weights_and_the_parents_run_are_placed_once_and_found_there(cells, tmp_path):
    executor, home, place = Counting(), tmp_path / "home", tmp_path / "place"
    post = Post(executor)
    parent = tmp_path / "grid" / cells[0].name
    parent.mkdir(parents=True)
    for name in away.RESULT:
        (parent / name).write_bytes(name.encode())
    plans = {}
    for cell in cells:
        order = post.order(cell.plan, None, parent if cell.parent == parent.name else None)
        plans[cell.name] = away._unpacked(order, home, place)
    post.close()
    assert sorted(executor.placed) == sorted(
        ["digits-test.npz", "digits-held-out.npz", "digits-train.npz", "dense.safetensors", "pruned.safetensors",
         *away.RESULT]
    )  # fmt: skip
    for cell in cells:
        there = plans[cell.name]
        assert there.out == place / cell.name
        for here, moved in zip(cell.plan.request.refs, there.request.refs, strict=True):
            assert (str(moved), model_name(moved)) == (str(here), model_name(here))
            assert moved.source == "embedded" or str(home) in moved.name
        for find in (load_points, load_whole, load_held_out, load_calibration):
            ours, theirs = find(cell.plan), find(there)
            assert (ours is None) == (theirs is None)
            if ours is not None:
                assert ours.digest == theirs.digest
                assert ours.classes == theirs.classes
                assert np.array_equal(ours.ids, theirs.ids)
    assert (place / parent.name / "result.json").read_bytes() == b"result.json"


def test_a_node_says_what_it_was_not_sent_and_refuses_other_code_and_other_bytes(cells, tmp_path):
    post = Post(Counting())
    order = post.order(cells[0].plan, None, None)
    sets = away.Sets((), (("test", "nobody fetched it"),))
    with pytest.raises(InputError, match="points of 'test' are not at hand: nobody fetched it"):
        sets("test", [0])
    with pytest.raises(BenchError, match=r"a node has other code than was asked \(.* instead of 0\.0\); install"):
        away.carry_out_away(replace(order, code="0.0"), lambda _: None)
    sent = order.sets[0][1]
    with pytest.raises(BenchError, match="did not arrive as it was sent"):
        replace(sent, digest="0" * 64).unpacked(tmp_path / "home")
    post.close()


def test_a_place_is_held_while_its_cell_is_away_and_a_torn_line_swallows_no_other(cells):
    post, plan = Post(Counting()), cells[0].plan
    post.order(plan, None, None)
    with pytest.raises(UsageError, match="is being made by process"), held(plan.out):
        pass
    lines = unfinished(plan.out) / "journal.jsonl"
    lines.write_bytes(b'{"torn": ')
    post.keep(plan.out, away.Kept("journal.jsonl", b"{}\n"))
    post.keep(plan.out, away.Kept("a.npz", b"candidates"))
    assert lines.read_bytes() == b'{"torn": \n{}\n'
    assert away.beside_of(plan.out) == {
        f"{plan.out.name}.partial": {"journal.jsonl": b'{"torn": \n{}\n', "a.npz": b"candidates"}
    }
    post.release(plan.out)
    with held(plan.out):
        pass

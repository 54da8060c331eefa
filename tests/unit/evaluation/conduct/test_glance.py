"""What clean answers tell of a pruned network before anybody attacks it."""

from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from bench.data.dataset import DATASETS
from bench.evaluation.conduct.glance import POINTS, glance, seen
from bench.evaluation.conduct.run import evaluate
from bench.evaluation.plan.plan import Request, plan
from bench.models.source import ModelRef, load
from bench.protocol.load import load as rules
from bench.pruning.prune import Pruned, prune
from bench.pruning.recipe import Context

MODEL = ModelRef.parse("embedded:digits-tiny-linf")


def pruned(sparsity: str) -> Pruned:
    loaded = load(MODEL)
    return prune(loaded.classifier, "magnitude-global", Fraction(sparsity), Context(torch.rand(2, *loaded.shape)))


def by_hand(network: torch.nn.Module) -> int:
    points = DATASETS["digits"].load("test", range(POINTS))
    return int((network(points.images()).argmax(dim=1) == points.label_tensor()).sum())


def test_a_living_network_is_told_what_it_lost():
    loaded, living = load(MODEL), pruned("1/4")
    found = glance(rules("digits-v1"), loaded, living)
    assert (found.points, found.before, found.now) == (POINTS, by_hand(loaded.classifier), by_hand(living.network))
    assert found.flags == ()
    assert found.words() == [
        f"Of the first 200 points the parent classified {found.before} correctly, this one {found.now}."
    ]


def test_a_network_that_pruning_reduced_to_guessing_is_named_collapsed():
    told = seen(rules("digits-v1"), load(MODEL), pruned("99/100"))
    assert told[1].startswith("Collapsed: ")


def test_points_that_the_network_does_not_take_are_no_reason_to_fail():
    other = replace(load(MODEL), classes=11)
    (told,) = seen(rules("digits-v1"), other, pruned("1/4"))
    assert told == (
        "Its clean accuracy was not looked at: the points of digits-v1 are none that embedded:digits-tiny-linf takes."
    )


@pytest.mark.parametrize(("sparsity", "collapsed"), [("99/100", True), ("1/4", False)])
def test_a_run_foresees_collapse_before_its_first_attack(tmp_path, sparsity, collapsed):
    heard: list[str] = []

    class First(Exception):  # noqa: N818 - nothing went wrong
        """The first attack begins."""

    def watch(*_: object) -> None:
        raise First

    request = Request(
        MODEL,
        rules("digits-smoke-v1"),
        recipe="magnitude-global",
        sparsity=Fraction(sparsity),
        out=tmp_path / "run",
        parent_first=False,
    )
    with pytest.raises(First):
        evaluate(plan(request), watch, tell=heard.append)
    assert any(says.startswith("Before the first attack: Collapsed: ") for says in heard) == collapsed

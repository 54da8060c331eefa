"""Layers that a recipe leaves whole, from what is said to the command that repeats it."""

from fractions import Fraction

import pytest

from bench.errors import UsageError
from bench.evaluation.conduct.run import evaluate
from bench.evaluation.plan.ask import Said, ask
from bench.site.reproduce import words
from bench.submission.files import RESULT_FILE, read_result
from bench.threats import Norm

MODEL = "embedded:digits-tiny-linf"


def settled(tmp_path, keep, model=MODEL, recipe="magnitude-global", sparsity="1/2"):
    said = Said(recipe=recipe, sparsity=Fraction(sparsity), keep=keep) if recipe else Said(keep=keep)
    return ask(model, "digits-smoke-v1", said=said, norms=(Norm.LINF,), limit=4, out=tmp_path, parent_first=False)


def test_layers_that_are_kept_stay_whole_are_recorded_and_are_asked_for_again(tmp_path):
    plan = settled(tmp_path / "run", ("0", "5"))
    result = read_result(evaluate(plan) / RESULT_FILE)
    zeros = {layer.name: layer.zeros for layer in result.pruning.layers}
    assert {name for name, count in zeros.items() if count == 0} == {"network.0.weight", "network.5.weight"}
    assert result.pruning.keep == ("0", "5")
    assert result.pruning.zeros == (result.pruning.prunable + 1) // 2
    assert "--keep=0,5" in words(result)
    again = ask(str(tmp_path / "run"), "digits-smoke-v1", out=tmp_path / "again")
    assert again.request.keep == ("0", "5")


def test_runs_that_keep_other_layers_have_other_names(tmp_path):
    names = {settled(tmp_path, keep).name for keep in ((), ("0",), ("5",))}
    assert len(names) == 3


def test_without_a_recipe_nothing_can_be_kept(tmp_path):
    with pytest.raises(UsageError, match="--keep names layers that a --recipe leaves whole"):
        settled(tmp_path, ("0",), recipe=None)

"""What a rehearsal predicts is what the run costs: held against a run of now, and against the published ones."""

import dataclasses
from fractions import Fraction

import pytest

from bench.evaluation.conduct.rehearsal import rehearse
from bench.evaluation.conduct.run import evaluate
from bench.evaluation.plan.plan import Request, plan
from bench.models.source import ModelRef
from bench.protocol.load import load
from bench.submission.files import RESULT_FILE, read_result
from bench.submission.schema import Result
from bench.threats import exact

RULES = load("digits-smoke-v1").model_copy(update={"checks": {}})
PUBLISHED = ["digits-tiny-linf--magnitude-global-90", "digits-mlp-linf--magnitude-global-90"]


def hold(predicted, found: Result):
    """Hold predicted passes to a tenth of those that the attacks and scenarios of a run took."""
    attacks = [attack for threat in found.threats for attack in threat.attacks]
    forwards = sum(attack.forwards for attack in attacks)
    forwards += sum(scenario.forwards for scenario in found.scenarios.values())
    assert predicted.forwards == pytest.approx(forwards, rel=0.1)
    assert predicted.backwards == pytest.approx(sum(attack.backwards for attack in attacks), rel=0.1)
    return forwards


@pytest.mark.parametrize(
    "pruned", [{}, {"recipe": "magnitude-global", "sparsity": Fraction(9, 10)}], ids=["dense", "90"]
)
def test_the_predicted_passes_are_within_a_tenth_of_the_measured_ones(pruned, tmp_path):
    asked = Request(ModelRef.parse("embedded:digits-tiny-linf"), RULES, points=(0, 100), parent_first=False, **pruned)
    predicted = rehearse(plan(asked)).passes
    folder = evaluate(plan(dataclasses.replace(asked, out=tmp_path / "run")))
    hold(predicted, read_result(folder / RESULT_FILE))


@pytest.mark.soak
@pytest.mark.parametrize("name", PUBLISHED)
def test_so_are_those_of_published_runs(root, name):
    published = read_result(root / "submissions" / "digits-v1" / name / RESULT_FILE)
    target = published.pruning.target
    cell = Request(
        ModelRef.parse(published.model.ref),
        load(published.protocol.name),
        recipe=published.pruning.recipe,
        sparsity=exact(target) if target else None,
        regime=published.pruning.regime,
    )
    forwards = hold(rehearse(plan(cell)).passes, published)
    assert published.cost.forwards <= 1.15 * forwards  # the checks come on top

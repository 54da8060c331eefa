"""What a dry run predicts is what the run costs: held against the passes that the published runs measured."""

import pytest

from bench.evaluation.conduct.rehearsal import rehearse
from bench.evaluation.plan.plan import Request, plan
from bench.models.source import ModelRef
from bench.protocol.load import load
from bench.submission.files import RESULT_FILE, read_result
from bench.threats import exact

CELLS = [
    "digits-tiny-linf--magnitude-global-90",
    pytest.param("digits-mlp-linf--magnitude-global-90", marks=pytest.mark.soak),
]


@pytest.mark.parametrize("name", CELLS)
def test_the_predicted_passes_are_within_a_tenth_of_the_measured_ones(root, name):
    published = read_result(root / "submissions" / "digits-v1" / name / RESULT_FILE)
    target = published.pruning.target
    cell = Request(
        ModelRef.parse(published.model.ref),
        load(published.protocol.name),
        recipe=published.pruning.recipe,
        sparsity=exact(target) if target else None,
        regime=published.pruning.regime,
    )
    predicted = rehearse(plan(cell)).passes
    attacks = [attack for threat in published.threats for attack in threat.attacks]
    forwards = sum(attack.forwards for attack in attacks)
    forwards += sum(scenario.forwards for scenario in published.scenarios.values())
    backwards = sum(attack.backwards for attack in attacks)
    assert predicted.forwards == pytest.approx(forwards, rel=0.1)
    assert predicted.backwards == pytest.approx(backwards, rel=0.1)
    assert published.cost.forwards <= 1.15 * forwards  # the checks come on top

"""A rehearsal goes through whatever the network is, and says how far it is."""

from fractions import Fraction

import pytest

from bench.evaluation.conduct.rehearsal import SAMPLE, rehearse
from bench.evaluation.plan.plan import Request, plan
from bench.models.source import ModelRef
from bench.protocol.load import load

SMOKE = load("digits-smoke-v1")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("digits-tiny-linf", {"limit": 20}),
        ("digits-cnn-natural", {"limit": 6}),
        ("digits-tiny-linf", {"limit": 12, "recipe": "magnitude-global", "sparsity": Fraction(99, 100)}),
        ("digits-tiny-linf", {"points": (5, 6)}),
    ],
    ids=["robust", "fallen", "dead", "one point"],
)
def test_any_network_is_rehearsed_to_the_end(name, options):
    told = []
    settled = plan(Request(ModelRef.parse(f"embedded:{name}"), SMOKE, **options))
    found = rehearse(settled, lambda *state: told.append(state))
    assert found.correct <= len(settled.ids)
    assert found.rehearsed <= 2 * SAMPLE * len(settled.threats)
    assert (found.passes.forwards > 0) == (found.correct > 0)
    places = [done for _, done, _ in told]
    assert places == sorted(places)
    (total,) = {total for _, _, total in told}
    assert 0 <= places[0] <= places[-1] < total

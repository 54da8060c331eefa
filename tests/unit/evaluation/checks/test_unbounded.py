"""The check without a limit on the perturbation asks only attacks that have none of their own."""

import pytest

from bench.attacks.attack import ATTACKS
from tests.support.suspects import L0, Suspect, caught, embedded, interrogate

HARDLY = {
    "corner-beam": {"pixels": 1, "first": 8, "beams": 1, "branch": 2},
    "sigma-zero": {"steps": 1, "grid": (1, 2), "eliminate": 0},
}


@pytest.mark.parametrize(("name", "asked"), [("corner-beam", False), ("sigma-zero", True)])
def test_an_attack_with_a_limit_of_its_own_is_not_asked(name, asked):
    suspect = Suspect(embedded("digits-cnn-linf"), lines=[(ATTACKS[name], L0, HARDLY[name])])
    assert ("unbounded" in caught(interrogate(suspect))) == asked

from fractions import Fraction

import pytest
import torch

from bench.attacks.attack import ATTACKS
from bench.threats import Norm, ThreatModel
from tests.support.linear import Constant, linear_problem
from tests.support.rounds import run

NORMS = [Norm.LINF, Norm.L2]
EPSILON = Fraction(1, 2)


@pytest.mark.parametrize("norm", NORMS)
def test_comes_within_five_percent_of_the_closed_form_distance(norm):
    model, images, labels = linear_problem(points=24)
    optimum = model.distance(images, labels, norm)
    found = run("fmn", model, images, labels, ThreatModel(norm, EPSILON), settings={"steps": 200})
    assert bool((found.distance >= optimum * (1 - 1e-4)).all())
    assert float((found.distance / optimum).median()) <= 1.02
    assert bool((found.distance <= optimum * 1.05).all())


def test_works_on_every_point_whatever_its_distance():
    (turn,) = ATTACKS["fmn"].rounds({"steps": 10}, ThreatModel(Norm.L2, EPSILON), 10)
    assert turn.radius == 0.0


def test_costs_one_pass_per_iterate_and_no_last_gradient():
    images = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    threat = ThreatModel(Norm.LINF, EPSILON)
    found = run("fmn", Constant(), images, torch.zeros(3, dtype=torch.long), threat, settings={"steps": 10})
    assert (found.forwards, found.backwards) == (30, 27)


def test_epsilon_changes_nothing():
    model, images, labels = linear_problem(points=6)
    small, large = (
        run("fmn", model, images, labels, ThreatModel(Norm.L2, Fraction(1, part)), settings={"steps": 20})
        for part in (1000, 2)
    )
    assert torch.equal(small.candidates, large.candidates)

from fractions import Fraction

import pytest
import torch

from bench.attacks.attack import ATTACKS, Kind
from bench.threats import Norm, ThreatModel
from tests.support.linear import Constant, linear_problem
from tests.support.rounds import run, standing

NORMS = [Norm.LINF, Norm.L2]
SETTINGS = {"steps": 30, "targets": 9}


@pytest.mark.parametrize("norm", NORMS)
def test_comes_within_two_percent_of_the_closed_form_distance(norm):
    model, images, labels = linear_problem(points=24)
    optimum = model.distance(images, labels, norm)
    threat = ThreatModel(norm, Fraction(round(float(optimum.min()) * 0.5 * 10**6), 10**6))  # below every distance
    found = run("fab-t", model, images, labels, threat, settings=SETTINGS)
    assert bool((found.distance >= optimum * (1 - 1e-4)).all())
    assert bool((found.distance <= optimum * 1.02).all())


@pytest.mark.parametrize("norm", NORMS)
def test_stops_a_point_that_has_come_within_epsilon(norm):
    model, images, labels = linear_problem(points=16)
    generous = ThreatModel(norm, Fraction(2))
    found = run("fab-t", model, images, labels, generous, settings=SETTINGS)
    assert not bool(standing(found, generous).any())
    assert found.forwards <= 16 * 2 * 4


def test_a_robust_point_costs_every_announced_pass():
    threat = ThreatModel(Norm.LINF, Fraction(1, 10))
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    found = run("fab-t", Constant(), images, torch.zeros(2, dtype=torch.long), threat, settings=SETTINGS)
    assert (found.forwards, found.backwards) == (2 * 9 * 60, 2 * 9 * 30)


def test_counts_as_a_search_for_the_nearest_image():
    """A candidate beyond epsilon is no fault: it feeds the curves."""
    assert ATTACKS["fab-t"].kind is Kind.MINIMUM_NORM


@pytest.mark.parametrize(("classes", "expected"), [(2, 1), (3, 2), (8, 7), (10, 9)])
def test_makes_one_round_per_other_class_at_most_nine(classes, expected):
    threat = ThreatModel(Norm.LINF, Fraction(1, 10))
    assert len(ATTACKS["fab-t"].rounds(SETTINGS, threat, classes)) == expected

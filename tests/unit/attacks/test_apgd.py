from fractions import Fraction

import pytest
import torch

from bench.attacks.apgd import ascend
from bench.attacks.attack import ATTACKS, Passes, Points
from bench.attacks.draws import Draws
from bench.attacks.losses import cross_entropy
from bench.evaluation.search.meter import Meter
from bench.threats import Norm, ThreatModel
from tests.support.linear import Constant, LinearClassifier, linear_problem
from tests.support.rounds import run, standing

NORMS = [Norm.LINF, Norm.L2]
SETTINGS = {"apgd-ce": {"steps": 50}, "apgd-t": {"steps": 50, "targets": 9}, "apgd-pm": {"steps": 50}}


def around(distance, share):
    """Return a radius that splits the points at a distance, as an exact number."""
    return Fraction(round(float(distance.quantile(share)) * 10**6), 10**6)


@pytest.mark.parametrize("norm", NORMS)
def test_apgd_t_breaks_exactly_the_points_within_the_radius(norm):
    model, images, labels = linear_problem(points=48)
    optimum = model.distance(images, labels, norm)
    threat = ThreatModel(norm, around(optimum, 0.5))
    found = run("apgd-t", model, images, labels, threat, settings=SETTINGS["apgd-t"])
    clear = (optimum / float(threat.epsilon) - 1).abs() > 0.01
    assert torch.equal(standing(found, threat)[clear], (optimum > float(threat.epsilon))[clear])


@pytest.mark.parametrize("name", ["apgd-ce", "apgd-pm"])
@pytest.mark.parametrize("norm", NORMS)
def test_one_start_without_a_target_breaks_two_classes_exactly_within_the_radius(norm, name):
    model, images, labels = linear_problem(points=48, classes=2)
    optimum = model.distance(images, labels, norm)
    threat = ThreatModel(norm, around(optimum, 0.5))
    found = run(name, model, images, labels, threat, settings=SETTINGS[name])
    clear = (optimum / float(threat.epsilon) - 1).abs() > 0.01
    assert torch.equal(standing(found, threat)[clear], (optimum > float(threat.epsilon))[clear])


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", list(SETTINGS))
def test_a_robust_point_costs_every_announced_pass_but_no_more(name, norm):
    threat = ThreatModel(norm, Fraction(1, 10))
    images = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    found = run(name, Constant(), images, torch.zeros(3, dtype=torch.long), threat, settings=SETTINGS[name])
    turns = ATTACKS[name].rounds(SETTINGS[name], threat, 10)
    total = sum((turn.passes for turn in turns), Passes(0, 0))
    assert (found.forwards, found.backwards) == (3 * total.forwards, 3 * total.backwards)


def test_fallen_points_stop_costing_passes():
    model, images, labels = linear_problem(points=32)
    threat = ThreatModel(Norm.LINF, Fraction(1, 4))
    found = run("apgd-ce", model, images, labels, threat, settings={"steps": 100})
    assert not bool(standing(found, threat).any())
    assert found.forwards < 32 * 10


@pytest.mark.parametrize(("classes", "expected"), [(2, 1), (3, 2), (8, 7), (10, 9), (100, 9)])
def test_apgd_t_makes_one_round_per_other_class_at_most_nine(classes, expected):
    threat = ThreatModel(Norm.LINF, Fraction(1, 10))
    assert len(ATTACKS["apgd-t"].rounds(SETTINGS["apgd-t"], threat, classes)) == expected


def test_each_round_aims_at_the_next_runner_up():
    """On a linear model whose classes answer to pixels of their own, the target decides which pixels rise."""
    classes = 5
    model = LinearClassifier(torch.eye(classes, 16), torch.zeros(classes))
    images = torch.tensor([0.9, 0.7, 0.5, 0.3, 0.1] + [0.5] * 11).view(1, 1, 4, 4)
    labels = torch.tensor([0])
    points = Points(images, labels, torch.tensor([0]), model(images).detach(), torch.tensor([torch.inf]))
    threat = ThreatModel(Norm.LINF, Fraction(9, 20))
    for turn in range(3):
        draws = Draws(0, "apgd-t", turn)
        candidate = ATTACKS["apgd-t"].propose(model, points, threat, {"steps": 40, "targets": 9}, draws)
        assert model(candidate).argmax(dim=1).item() in {1, 2, 3}
    target_of_last = ATTACKS["apgd-t"].propose(
        model, points, threat, {"steps": 40, "targets": 9}, Draws(0, "apgd-t", 3)
    )
    # class 4 starts at 0.1 and ends at 0.55 at most, class 0 at 0.45 at least: only that target crosses by itself
    assert float(target_of_last[0, 0, 1, 0]) == pytest.approx(0.55, abs=1e-3)


def test_one_step_follows_the_rule_of_the_paper():
    """One step of 2ε along the sign of the gradient, clipped to the ball, has no momentum."""
    model, images, labels = linear_problem(points=4)
    threat = ThreatModel(Norm.LINF, Fraction(1, 1000))
    points = Points(images, labels, torch.arange(4), model(images).detach(), torch.full((4,), torch.inf))
    seen = []

    def recorded(batch):
        seen.append(batch.detach().clone())
        return model(batch)

    ascend(recorded, points, labels, lambda z, y, _: cross_entropy(z, y), threat, 1, Draws(0, "apgd-ce", 0))
    leaf = seen[0].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(cross_entropy(model(leaf), labels).sum(), leaf)
    torch.testing.assert_close(seen[1], images + 0.001 * gradient.sign(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_the_random_start_lies_on_the_rim(norm):
    images = torch.full((4, 3, 8, 8), 0.5)
    labels = torch.zeros(4, dtype=torch.long)
    seen = []

    def recorded(batch):
        seen.append(batch.detach().clone())
        return Constant()(batch)

    points = Points(images, labels, torch.arange(4), Constant()(images), torch.full((4,), torch.inf))
    ascend(
        recorded,
        points,
        labels,
        lambda z, y, _: cross_entropy(z, y),
        ThreatModel(norm, Fraction(1, 4)),
        1,
        Draws(0, "apgd-ce", 0),
    )
    delta = (seen[0] - images).flatten(1)
    reach = delta.abs().amax(dim=1) if norm is Norm.LINF else delta.norm(dim=1)
    torch.testing.assert_close(reach, torch.full((4,), 0.25), rtol=1e-4, atol=0)


def test_two_runs_from_other_seeds_start_elsewhere():
    model, images, labels = Constant(), torch.full((2, 3, 8, 8), 0.5), torch.zeros(2, dtype=torch.long)
    starts = []
    for seed in (0, 1):
        points = Points(images, labels, torch.arange(2), model(images).detach(), torch.full((2,), torch.inf))
        meter = Meter(lambda batch: starts.append(batch.detach().clone()) or model(batch), 10)
        ascend(
            meter,
            points,
            labels,
            lambda z, y, _: cross_entropy(z, y),
            ThreatModel(Norm.L2, Fraction(1)),
            1,
            Draws(seed, "apgd-ce", 0),
        )
    assert not torch.equal(starts[0], starts[2])

from fractions import Fraction

import pytest
import torch
from pyautoattack import checks

from bench.attacks.attack import Points
from bench.attacks.draws import Draws
from bench.attacks.reference import batch_seed, reference
from bench.errors import UsageError
from bench.threats import Norm, ThreatModel
from tests.support.linear import Constant, SmallNetwork, linear_problem
from tests.support.rounds import run, standing

NAMES = ["apgd-ce", "apgd-t", "fab-t", "square"]
NORMS = [Norm.LINF, Norm.L2]
SETTINGS = {"steps": 10, "targets": 9, "queries": 40, "p_init": 0.8}
every_case = pytest.mark.parametrize(("name", "norm"), [(name, norm) for name in NAMES for norm in NORMS])


def settings_of(name):
    return {key: SETTINGS[key] for key in reference(name).settings}


def threat_of(norm):
    return ThreatModel(norm, Fraction(1, 20) if norm is Norm.LINF else Fraction(1, 2))


def network_problem(points=10):
    images = torch.rand(points, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    model = SmallNetwork()
    return model, images, model(images).argmax(dim=1)


def propose(name, model, images, labels, norm, *, ids=None, seed=0):
    ids = torch.arange(len(labels)) if ids is None else ids
    points = Points(images, labels, ids, model(images).detach(), torch.full((len(labels),), torch.inf))
    return reference(name).propose(model, points, threat_of(norm), settings_of(name), Draws(seed, name, 0))


def test_knows_autoattack_alone():
    with pytest.raises(UsageError, match="reference"):
        reference("fmn")


@every_case
def test_leaves_no_trace_but_its_candidates(name, norm):
    model, images, labels = network_problem()
    state, counters, before = torch.get_rng_state(), dict(checks.funcs), images.clone()
    propose(name, model, images, labels, norm)
    assert torch.equal(torch.get_rng_state(), state)
    assert checks.funcs == counters
    assert torch.equal(images, before)
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


@every_case
def test_the_same_points_and_seed_give_the_same_candidates_whatever_the_clock_says(name, norm, monkeypatch):
    model, images, labels = network_problem()
    first = propose(name, model, images, labels, norm)
    monkeypatch.setattr("time.time", lambda: 1.0)
    with torch.random.fork_rng():
        torch.rand(100)
        assert torch.equal(propose(name, model, images, labels, norm), first)


def test_the_seed_of_a_batch_depends_on_seed_attack_round_and_points():
    ids = torch.arange(3)
    seeds = {
        batch_seed(Draws(0, "square", 0), ids),
        batch_seed(Draws(1, "square", 0), ids),
        batch_seed(Draws(0, "fab-t", 0), ids),
        batch_seed(Draws(0, "square", 1), ids),
        batch_seed(Draws(0, "square", 0), ids + 1),
    }
    assert len(seeds) == 5
    assert max(seeds) < 2**32


@every_case
def test_a_robust_point_costs_exactly_the_announced_passes(name, norm):
    """A point that no attack moves takes every pass of the table in AutoAttack's source, and not one more."""
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    attack = reference(name)
    found = run(attack, Steep(), images, torch.zeros(2, dtype=torch.long), threat_of(norm), settings=settings_of(name))
    (turn,) = attack.rounds(settings_of(name), threat_of(norm), 10)
    assert (found.forwards, found.backwards) == (2 * turn.passes.forwards, 2 * turn.passes.backwards)


class Steep(Constant):
    """Never fooled, and with a gradient that is not zero, which AutoAttack would remark on."""

    def forward(self, images):
        return super().forward(images) * 100 + images.flatten(1)[:, : self.classes] * 0.01


def test_passes_of_the_standard_version_are_those_counted_on_the_package():
    """Counted: 103, 920, 1829 and 5004 forward passes, one of each being the driver's second look at the result."""
    standard = {"steps": 100, "targets": 9, "queries": 5000, "p_init": 0.8}
    turns = {name: reference(name).rounds(standard, threat_of(Norm.LINF), 10)[0].passes for name in NAMES}
    assert {name: (cost.forwards, cost.backwards) for name, cost in turns.items()} == {
        "apgd-ce": (102, 101),
        "apgd-t": (919, 909),
        "fab-t": (1828, 900),
        "square": (5003, 0),
    }


@every_case
@pytest.mark.parametrize("classes", [2, 3, 4, 8])
def test_works_with_fewer_classes_than_targets(name, norm, classes):
    model, images, labels = linear_problem(points=8, classes=classes, shape=(1, 8, 8))
    threat = ThreatModel(norm, Fraction(1, 4) if norm is Norm.LINF else Fraction(2))
    found = run(reference(name), model, images, labels, threat, settings=settings_of(name))
    assert not bool(standing(found, threat).all())


@every_case
def test_takes_images_that_are_not_contiguous(name, norm):
    model, images, labels = network_problem()
    strided = images.to(memory_format=torch.channels_last)
    assert torch.equal(propose(name, model, strided, labels, norm), propose(name, model, images, labels, norm))


@every_case
def test_one_point_is_enough_and_none_is_no_trouble(name, norm):
    model, images, labels = network_problem(points=1)
    assert propose(name, model, images, labels, norm).shape == images.shape
    assert len(propose(name, model, images[:0], labels[:0], norm)) == 0


def test_zero_gradients_are_no_noise():
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    candidates = propose("apgd-t", Constant(), images, torch.zeros(2, dtype=torch.long), Norm.LINF)
    assert torch.equal(candidates, images)

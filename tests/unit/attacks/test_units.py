"""Attacks see the same network whatever unit its logits come in."""

from functools import cache

import pytest
import torch
from torch import nn

from bench.attacks.attack import ATTACKS
from bench.attacks.losses import cross_entropy
from bench.attacks.projections import direction, evened
from bench.attacks.units import USUAL, exponents, in_units, lead, scaled
from bench.evaluation.judge.pool import Pool
from bench.evaluation.search.cascade import Cascade, Target
from bench.threats import Norm
from tests.support.rounds import settings_of, threat_of

CASES = [(name, norm) for name in ATTACKS for norm in sorted(ATTACKS[name].norms)]
every_case = pytest.mark.parametrize(("name", "norm"), CASES, ids=[f"{name}-{norm}" for name, norm in CASES])
SHAPE, POINTS = (3, 6, 6), 4


class Small(nn.Module):
    """Convolution, ReLU and a linear layer, whose logits, first layer or both come in another unit."""

    def __init__(self, last=0, first=0, offset=0.0):
        super().__init__()
        source = torch.Generator().manual_seed(3)
        self.offset, self.powers = offset, (float(2.0**first), float(2.0**last))
        self.kernel = torch.randn(4, 3, 3, 3, generator=source) / 5
        self.weight = torch.randn(4, 4 * 36, generator=source) * 1.6  # leads of 0.6 to 6

    def forward(self, images):
        hidden = nn.functional.conv2d(images, self.kernel * self.powers[0], padding=1).relu()
        return hidden.flatten(1) @ (self.weight * self.powers[1]).T + self.offset


def images():
    return torch.rand(POINTS, *SHAPE, generator=torch.Generator().manual_seed(5))


def attacked(name, norm, model):
    """Return the pool and the tally of an attack that the cascade runs."""
    points = images()
    with torch.no_grad():
        logits, labels = model(points), Small()(points).argmax(dim=1)
    threat = threat_of(norm)
    settings = {**settings_of(ATTACKS[name])} | ({"queries": 8 * 36} if name == "corners" else {})
    pool = Pool(points, logits.argmax(dim=1) == labels, [threat])
    target = Target(model, points, labels, torch.arange(POINTS), logits)
    tally = Cascade(target, pool, seed=0, batch=4).run(ATTACKS[name], threat, settings)
    return pool, tally


@cache
def usual(name, norm):
    return attacked(name, norm, Small())


def same(one, other):
    assert torch.equal(one[0].correct, other[0].correct)
    for norm in Norm:
        assert torch.equal(one[0].distance[norm], other[0].distance[norm])
        rows = one[0].witnessed(norm).nonzero().flatten()
        assert torch.equal(one[0].witnesses(norm, rows), other[0].witnesses(norm, rows))
    assert one[1] == other[1]


@every_case
@pytest.mark.parametrize("power", [-100, 64])
def test_logits_in_any_unit_bring_the_same_witnesses_to_the_bit(name, norm, power):
    plain, other = usual(name, norm), attacked(name, norm, Small(last=power))
    assert plain[0].correct.all()
    same(plain, other)


@every_case
def test_a_shrunken_first_layer_brings_the_same_witnesses_to_the_bit(name, norm):
    same(usual(name, norm), attacked(name, norm, Small(first=-60)))


@every_case
@pytest.mark.parametrize("factor", [1e-30, 1e8])
def test_verdicts_are_those_of_the_usual_unit(name, norm, factor):
    threat = threat_of(norm)
    plain, _ = usual(name, norm)
    other, _ = attacked(name, norm, lambda x: factor * Small()(x))
    radius = float(threat.epsilon)
    assert other.standing(threat.norm, radius).tolist() == plain.standing(threat.norm, radius).tolist()


@every_case
def test_an_offset_that_float32_can_carry_changes_no_verdict(name, norm):
    threat = threat_of(norm)
    plain, other = usual(name, norm)[0], attacked(name, norm, Small(offset=1024.0))[0]
    radius = float(threat.epsilon)
    assert other.standing(threat.norm, radius).tolist() == plain.standing(threat.norm, radius).tolist()


def test_the_unit_hangs_on_the_lead_over_the_third_class_alone():
    logits = torch.tensor([[3.0, 3.0, 1.0, -1e30], [300.0, 0.0, 0.0, 0.0], [5.0, 5.0, 5.0, 5.0], [1e-9, 0, 0, 0]])
    assert lead(logits).tolist() == [2, 300, 0, pytest.approx(1e-9)]
    assert exponents(logits).tolist() == [0, 8, 0, -32]
    assert lead(torch.tensor([[3.0, 1.0]])).tolist() == [2]


def test_usual_logits_are_left_alone_and_others_brought_among_them():
    for power in range(-149, 128):
        logits = torch.tensor([[1.0, 0.0, 0.0]]).ldexp(torch.tensor(power))
        (exponent,) = exponents(logits).tolist()
        if abs(power) <= USUAL:
            assert exponent == 0
        else:
            assert 0.5 <= float(scaled(logits, exponent)[0, 0]) < 8
            assert exponent % 4 == 0


def test_usual_networks_are_seen_as_they_are():
    model = Small()
    assert in_units(model, 0) is model


@pytest.mark.parametrize(("first", "last", "unit"), [(0, -140, -140), (-90, 0, -90), (0, 100, 100), (-60, -30, -90)])
def test_gradients_come_through_wherever_the_network_is_shrunken(first, last, unit):
    points, labels = images(), torch.zeros(POINTS, dtype=torch.int64)
    found = []
    for model in (Small(), in_units(Small(last, first), unit)):
        leaf = points.clone().requires_grad_()
        found.append(torch.autograd.grad(cross_entropy(model(leaf), labels).sum(), leaf)[0])
    if last == -140:  # weights that are no normal numbers any more have lost most of their digits
        torch.testing.assert_close(found[1], found[0], rtol=0.5, atol=0.02)
    else:
        assert torch.equal(*found)


def test_rows_of_one_batch_may_have_units_of_their_own():
    points, units = images(), torch.tensor([0, 4, 90, -90])
    leaf = points.clone().requires_grad_()
    logits = in_units(lambda x: Small()(x) * torch.ldexp(torch.ones(POINTS), units)[:, None], units)(leaf)
    plain = points.clone().requires_grad_()
    assert torch.equal(logits, Small()(plain))
    weight = torch.arange(4.0)
    (seen,) = torch.autograd.grad((logits * weight).sum(), leaf)
    (expected,) = torch.autograd.grad((Small()(plain) * weight).sum(), plain)
    assert torch.equal(seen, expected)


@pytest.mark.parametrize("power", [-140, -100, 0, 100])
@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L2])
def test_directions_hang_on_no_length(power, norm):
    gradient = (images() - 0.5) * (images() > 0.7)
    gradient = (gradient * 64).round() / 64  # a few digits, which denormal numbers still have
    tiny = torch.ldexp(gradient, torch.tensor(power // 2)).ldexp(torch.tensor(power - power // 2))
    assert torch.equal(direction(tiny, norm), direction(gradient, norm))
    assert not direction(torch.zeros_like(gradient), norm).any()
    assert 0.5 <= float(evened(tiny).abs().max()) < 1 or power == -140

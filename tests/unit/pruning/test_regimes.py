"""What follows pruning: recalibrated statistics, training under masks, schedules."""

from fractions import Fraction

import pytest
import torch

from bench.errors import UsageError
from bench.pruning.prune import prune
from bench.pruning.recipe import Training
from bench.pruning.regime import REGIMES, doubling
from bench.pruning.training import recalibrate
from bench.threats import Norm, ThreatModel, exact
from tests.support.pruning_networks import build, context

HALF = Fraction(1, 2)


def test_recalibration_gives_the_statistics_of_the_images():
    network, images = build("residual"), context().calibration[0]
    recalibrate(network, images, batch=64)
    with torch.no_grad():
        inputs = network.stem(images).transpose(0, 1).flatten(1)
    torch.testing.assert_close(network.norm.running_mean, inputs.mean(dim=1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(network.norm.running_var, inputs.var(dim=1), rtol=1e-4, atol=1e-5)
    assert network.norm.momentum == pytest.approx(0.1)
    assert not network.training


def test_batches_of_recalibration_count_alike():
    network, images = build("residual"), context(points=20).calibration[0]
    recalibrate(network, images, batch=8)
    with torch.no_grad():
        means = [network.stem(part).mean(dim=(0, 2, 3)) for part in images.split([7, 7, 6])]
    torch.testing.assert_close(network.norm.running_mean, torch.stack(means).mean(dim=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("regime", ["bn", "bn-adv"])
def test_recalibration_moves_no_weight_and_leaves_networks_without_batch_norm(regime):
    plain = prune(build("residual"), "magnitude-global", HALF, context())
    renewed = prune(build("residual"), "magnitude-global", HALF, context(), regime)
    before, after = dict(plain.network.named_parameters()), dict(renewed.network.named_parameters())
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert not torch.equal(plain.network.norm.running_mean, renewed.network.norm.running_mean)
    same = prune(build("attention"), "magnitude-global", HALF, context(), regime).network.state_dict()
    other = prune(build("attention"), "magnitude-global", HALF, context()).network.state_dict()
    assert all(torch.equal(tensor, same[name]) for name, tensor in other.items())


def test_clean_and_adversarial_statistics_differ():
    clean, adversarial = (prune(build("residual"), "dense", None, context(), name).network for name in ("bn", "bn-adv"))
    assert not torch.equal(clean.norm.running_mean, adversarial.norm.running_mean)


@pytest.mark.parametrize("regime", ["ft", "ft-adv", "ft-trades"])
def test_training_lowers_its_loss_and_leaves_evaluation_mode_and_frozen_weights(regime):
    given = context(points=64, training=Training(epochs=8, batch=16, rate=0.05, steps=2))
    images, labels = given.calibration
    losses = {}
    for name in ("bn", regime):
        network = prune(build("residual"), "magnitude-global", HALF, given, name).network
        assert not network.training
        assert not any(parameter.requires_grad for parameter in network.parameters())
        with torch.no_grad():
            losses[name] = float(torch.nn.functional.cross_entropy(network(images), labels))
    assert losses[regime] < losses["bn"]


def test_training_depends_on_the_seed_alone():
    first, again, other = (
        prune(build("residual"), "magnitude-global", HALF, context(seed=seed), "ft-adv").network.head.weight
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_schedule_doubles_the_compression():
    assert doubling(Fraction(15, 16)) == (HALF, Fraction(3, 4), Fraction(7, 8), Fraction(15, 16))
    assert doubling(Fraction(9, 10)) == (HALF, Fraction(3, 4), Fraction(7, 8), Fraction(9, 10))
    assert doubling(Fraction(1, 3)) == (Fraction(1, 3),)


@pytest.mark.parametrize("regime", ["bn-adv", "ft-adv", "ft-trades"])
def test_adversarial_regimes_need_a_ball_that_gradients_can_follow(regime):
    given = context(threat=ThreatModel(Norm.L0, exact("2")))
    with pytest.raises(UsageError, match="Linf or L2"):
        prune(build("residual"), "magnitude-global", HALF, given, regime)


@pytest.mark.parametrize("name", list(REGIMES))
def test_every_regime_says_what_it_is(name):
    regime = REGIMES[name]
    assert regime.name == name
    assert regime.version >= 1
    assert "arXiv:" in regime.source

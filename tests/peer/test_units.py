"""A real network meets the same verdicts whatever unit its logits and its layers come in."""

import copy
from functools import cache

import pytest
import torch
from torch import nn

from bench.evaluation.search.denormal import without_denormals
from bench.protocol.load import load
from bench.threats import Norm
from tests.support.cascade import harness
from tests.support.material import Real, real

pytestmark = pytest.mark.material
POINTS = 16
RULES = load("cifar10-v1")
QUICK = {
    Norm.LINF: {"apgd-ce": {"steps": 40}, "apgd-t": {"steps": 40, "targets": 3}},
    Norm.L2: {"apgd-ce": {"steps": 40}, "apgd-t": {"steps": 40, "targets": 3}},
    Norm.L0: {
        "corner-beam": {"pixels": 5, "first": 128, "beams": 4, "branch": 8},
        "sigma-zero": {"steps": 60, "grid": (1, 2, 5), "eliminate": 1},
    },
}
"""Cut short, so that every change of a network is tried in a few seconds."""


def layers(network):
    return [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]


def last_times(*factors):
    def change(found):
        for factor in factors:
            found[-1].weight.mul_(factor)
            found[-1].bias.mul_(factor)

    return change


def offset(found):
    found[-1].bias.add_(3e5)


def one_layer_shrunken(found):
    found[1].weight.mul_(1e-6)
    found[1].bias.mul_(1e-6)
    found[2].weight.mul_(1e6)


def every_layer_shrunken(found):
    share = 1.0
    for layer in found:
        share *= 1e-6
        layer.weight.mul_(1e-6)
        layer.bias.mul_(share)


def smallest_weights(value):
    """Replace the smallest thousandth of each layer's weights."""

    def change(found):
        for layer in found:
            size = layer.weight.abs()
            bar = size.flatten().kthvalue(1 + size.numel() // 1000).values
            layer.weight.copy_(torch.where(size <= bar, layer.weight.sign() * value, layer.weight))

    return change


CHANGES = {
    "10^-8": last_times(1e-8),
    "10^8": last_times(1e8),
    "10^-20": last_times(1e-20),
    "10^-30": last_times(1e-30),
    "10^30": last_times(1e30),
    "denormal last layer": last_times(1e-20, 1e-20),
    "offset": offset,
    "one layer shrunken": one_layer_shrunken,
    "every layer shrunken": every_layer_shrunken,
    "denormal weights": smallest_weights(1e-40),
}
every_change = pytest.mark.parametrize("change", CHANGES)
every_norm = pytest.mark.parametrize("norm", list(Norm))


def changed(material, change=lambda _: None):
    """Return the network changed, as an evaluation attacks it, and the first points."""
    model, images, labels = real(material, "cnn_a_adv4", POINTS)
    model = copy.deepcopy(model).requires_grad_(requires_grad=False)
    with torch.no_grad():
        change(layers(model))
    return Real(without_denormals(model, images.shape[1:]), images, labels)


@cache
def usual(material, norm, *, whole):
    before = smallest_weights(0.0)  # what denormal weights come to; it changes no verdict here
    settings = attacks(norm) if whole else QUICK[norm]
    return harness(changed(material, before), RULES.threat(norm).model, settings).standing.tolist()


def attacks(norm):
    return {name: RULES.attacks[name] for name in RULES.threat(norm).attacks}


@every_norm
@every_change
def test_attacks_cut_short_leave_the_same_points_standing(material, change, norm):
    found = harness(changed(material, CHANGES[change]), RULES.threat(norm).model, QUICK[norm])
    assert found.standing.tolist() == usual(material, norm, whole=False)


@pytest.mark.peer
@every_norm
@every_change
def test_the_cascade_of_the_rules_leaves_the_same_points_standing(material, change, norm):
    found = harness(changed(material, CHANGES[change]), RULES.threat(norm).model, attacks(norm))
    assert found.standing.tolist() == usual(material, norm, whole=True)

"""Network slimming ranks by the scales of batch norm, and only by them."""

from fractions import Fraction

import pytest
import torch
from torch import nn

from bench.errors import InfeasibleError
from bench.pruning.prune import prune
from tests.support.pruning_networks import build, context


def test_the_channels_with_the_smallest_scales_go():
    network = build("residual")
    with torch.no_grad():
        network.first_norm.weight.copy_(
            torch.linspace(0.5, 2.0, 32)[torch.arange(31, -1, -1)] * (-1) ** torch.arange(32)
        )
    plan = prune(network, "slimming", Fraction(2, 5), context()).plan
    kept = plan["first.weight"][0]
    assert list(kept) == list(range(len(kept)))
    assert 0 < len(kept) < 32
    assert plan["second.weight"][1] == kept


def test_the_norms_around_a_depthwise_convolution_count_together():
    network = build("depthwise")
    with torch.no_grad():
        network.expand_norm.weight.fill_(1.0)
        network.depthwise_norm.weight.fill_(1.0)
        network.expand_norm.weight[:8] = 4.0
        network.depthwise_norm.weight[:8] = 0.01
    plan = prune(network, "slimming", Fraction(1, 5), context()).plan
    gone = set(range(48)) - set(plan["expand.weight"][0])
    assert gone <= set(range(8)) or set(range(8)) <= gone


def test_layers_without_batch_norm_stay_whole():
    torch_layers = [nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 24, 3), nn.ReLU(), nn.Flatten()]
    network = nn.Sequential(*torch_layers, nn.Linear(24 * 16, 10)).eval().requires_grad_(requires_grad=False)
    plan = prune(network, "slimming", Fraction(1, 20), context()).plan
    assert {name for name, cuts in plan.items() if 0 in cuts} == {"0.weight", "0.bias", "1.weight", "1.bias",
                                                                  "1.running_mean", "1.running_var"}  # fmt: skip


@pytest.mark.parametrize("network", ["attention", "plain"])
def test_without_batch_norm_the_outcome_is_named(network):
    plain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10)).eval()
    with pytest.raises(InfeasibleError, match="no inner channel of the network has one"):
        prune(plain if network == "plain" else build("attention"), "slimming", Fraction(1, 4), context())

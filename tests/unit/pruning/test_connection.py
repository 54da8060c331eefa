"""Dead weights: those no image reaches, and those that reach no logit."""

import itertools
from fractions import Fraction

import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.pruning.connection import connected
from bench.pruning.masks import prunable
from bench.pruning.measure import measure
from bench.pruning.prune import prune
from tests.support.pruning_networks import NETWORKS, build, context


class Gated(nn.Module):
    """A convolution behind a squeeze-and-excitation gate, as in MobileNetV3."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.squeeze = nn.Conv2d(8, 2, 1)
        self.excite = nn.Conv2d(2, 8, 1)
        self.head = nn.Linear(8, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        hidden = functional.hardswish(self.stem(images))
        gate = functional.hardsigmoid(self.excite(self.squeeze(hidden.mean(dim=(2, 3), keepdim=True)).relu()))
        return self.head(functional.max_pool2d(hidden * gate, 8).flatten(1))


def alive(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return the connected weights by name."""
    images = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return connected(network.eval(), list(prunable(network, images)), images)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_in_a_dense_network_every_weight_is_connected(name):
    network, images = build(name), context().example
    assert all(bool(path.all()) for path in connected(network, list(prunable(network, images)), images).values())


@pytest.mark.parametrize("seed", range(5))
def test_paths_are_those_that_a_walk_over_all_of_them_finds(seed):
    widths = [192, 5, 4, 3]
    source = torch.Generator().manual_seed(seed)
    layers = [nn.Linear(*pair) for pair in itertools.pairwise(widths)]
    network = nn.Sequential(nn.Flatten(), layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
    with torch.no_grad():
        for layer in layers:
            layer.weight.mul_(torch.rand(layer.weight.shape, generator=source) < 0.35)
        layers[0].weight[seed % 5] = 0.0
    walked = [torch.zeros_like(layer.weight, dtype=torch.bool) for layer in layers]
    first, second, third = (layer.weight != 0 for layer in layers)
    for pixel, inner, outer, logit in itertools.product(*map(range, widths)):
        if first[inner, pixel] and second[outer, inner] and third[logit, outer]:
            walked[0][inner, pixel] = walked[1][outer, inner] = walked[2][logit, outer] = True
    for path, expected in zip(alive(network).values(), walked, strict=True):
        assert torch.equal(path, expected)
    assert any(
        int(expected.sum()) < int((layer.weight != 0).sum()) for layer, expected in zip(layers, walked, strict=True)
    )


def test_a_channel_that_nothing_reads_and_one_that_reads_nothing_are_dead():
    network = build("residual")
    with torch.no_grad():
        network.second.weight[:, 4] = 0.0
        network.first.weight[7] = 0.0
    found = connected(network, list(prunable(network, context().example)), context().example)
    assert not found["first.weight"][4].any()
    assert not found["second.weight"][:, 7].any()
    rest = [index for index in range(32) if index not in {4, 7}]
    assert found["first.weight"][rest].all()
    assert found["second.weight"][:, rest].all()
    assert found["head.weight"].all()


def test_a_shift_opens_no_path_and_a_scale_of_zero_closes_one():
    network = build("residual")
    with torch.no_grad():
        network.first.weight[7] = 0.0
        network.first_norm.bias[7] = 5.0
        network.first_norm.weight[9] = 0.0
    found = connected(network, list(prunable(network, context().example)), context().example)
    assert not found["second.weight"][:, [7, 9]].any()
    assert not found["first.weight"][9].any()


def test_a_dead_gate_leaves_alive_what_it_multiplies():
    network = Gated()
    with torch.no_grad():
        network.squeeze.weight.zero_()
    found = alive(network)
    assert not found["squeeze.weight"].any()
    assert not found["excite.weight"].any()
    assert found["stem.weight"].all()
    assert found["head.weight"].all()


def test_taps_that_read_padding_alone_are_dead():
    network = nn.Sequential(nn.AvgPool2d(8), nn.Conv2d(3, 4, 3, padding=1), nn.Flatten(), nn.Linear(4, 10))
    path = alive(network)["1.weight"]
    assert path[:, :, 1, 1].all()
    assert int(path.sum()) == 12


def test_large_activations_and_deep_stacks_hide_no_path():
    blocks = [nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.Sigmoid(), nn.Conv2d(16, 16, 3, padding=1), nn.GELU())
              for _ in range(30)]  # fmt: skip
    network = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), *blocks, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(16, 10)
    )
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1000)
    assert all(bool(path.all()) for path in alive(network).values())


def test_the_network_and_the_random_numbers_stay_as_they_are():
    network = build("residual")
    before, random = {key: tensor.clone() for key, tensor in network.state_dict().items()}, torch.get_rng_state()
    connected(network, list(prunable(network, context().example)), context().example)
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_what_is_connected_is_measured_and_removed_channels_are_not():
    parent = build("residual")
    thin = prune(parent, "random-uniform", Fraction(97, 100), context()).measured
    assert 0 < thin.connected < thin.prunable - thin.zeros
    smaller = prune(parent, "l2-inner", Fraction(1, 2), context()).measured
    assert smaller.connected == smaller.prunable - smaller.zeros
    with torch.no_grad():
        parent.head.weight.zero_()
    assert measure(None, parent, context().example).connected == 0

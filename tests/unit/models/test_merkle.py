"""The networks of Merkle et al. 2021: as large as their results say, for any classes, and with channels gone."""

from fractions import Fraction

import pytest
import torch
from torch import nn

from bench.models.source import ModelRef, architecture, load
from bench.models.weights import save
from bench.pruning.prune import prune
from bench.pruning.recipe import Context

PUBLISHED = {
    "mnist-mlp-300-100": 266_200,
    "mnist-lenet5": 61_470,
    "preact-resnet8": 1_164_640,
    "vgg11-bn-merkle": 11_325_120,
    "preact-resnet18-224": 11_000_000,
}
"""Weights of convolutions and linear layers, 1×1 shortcuts apart: ``total_params`` of the published results.

Of the MLP no result is published; 784·300 + 300·100 + 100·10 is counted from the paper's name for it.
"""
names = pytest.mark.parametrize("name", list(PUBLISHED))


@names
def test_as_many_weights_can_be_pruned_as_the_published_results_count(name):
    network = architecture(name).build()
    weights = {
        path: module.weight.numel()
        for path, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear) and "shortcut" not in path
    }
    assert sum(weights.values()) == PUBLISHED[name]


@names
def test_takes_any_number_of_classes(name):
    size = "&img_size=64" if name.endswith("-224") else ""
    made = architecture(f"{name}?num_classes=37{size}")
    with torch.no_grad():
        assert made.build().eval()(torch.rand(2, *made.shape)).shape == (2, 37)


@pytest.mark.parametrize("name", ["mnist-mlp-300-100", "mnist-lenet5", "preact-resnet8"])
def test_channels_are_removed_and_what_is_left_loads_from_a_file(name, tmp_path):
    made = architecture(name)
    example = torch.rand(2, *made.shape, generator=torch.Generator().manual_seed(0))
    parent = made.build().eval()
    pruned = prune(parent, "l2-inner", Fraction(1, 2), Context(example=example))
    left, whole = (sum(parameter.numel() for parameter in network.parameters()) for network in (pruned.network, parent))
    assert 0.45 < left / whole < 0.55
    save(tmp_path / "thin.safetensors", pruned.network.state_dict())
    loaded = load(ModelRef.parse(str(tmp_path / "thin.safetensors"), architecture=name))
    assert loaded.whole is not None
    with torch.no_grad():
        torch.testing.assert_close(loaded.classifier(example), pruned.network(example))


def test_the_hidden_linear_layers_end_in_tanh_and_the_last_in_logits():
    network = architecture("mnist-lenet5").build().eval()
    with torch.no_grad():
        network[-1].weight.mul_(100)
        hidden = network[:-1](torch.rand(4, 1, 28, 28))
        logits = network(torch.rand(4, 1, 28, 28))
    assert hidden.abs().max() <= 1
    assert hidden.min() < 0
    assert not torch.allclose(logits.sum(dim=1), torch.ones(4)), "a softmax would sum to one"

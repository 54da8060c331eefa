"""Weights below float32's normal numbers cost no time and change no answer."""

import torch
from torch import nn

from bench.evaluation.search.denormal import without_denormals

SHAPE = (3, 8, 8)


def network():
    made = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))
    made.eval().requires_grad_(requires_grad=False)
    source = torch.Generator().manual_seed(0)
    for tensor in made.parameters():
        tensor.copy_(torch.randn(tensor.shape, generator=source) / 5)
    return made


def test_a_network_of_normal_weights_is_itself():
    usual = network()
    with torch.no_grad():
        usual[0].weight[0] = 0
        usual[3].weight.mul_(1e-30)
    assert without_denormals(usual, SHAPE) is usual


def test_denormal_weights_among_others_become_zeros_in_a_copy_that_answers_alike():
    mixed = network()
    with torch.no_grad():
        mixed[0].weight[:, 1] = 1e-40
        mixed[3].weight[:, ::2] = -3e-42
    before = {name: tensor.clone() for name, tensor in mixed.state_dict().items()}
    quick = without_denormals(mixed, SHAPE)
    assert quick is not mixed
    assert not quick[0].weight[:, 1].any()
    assert not quick[3].weight[:, ::2].any()
    assert all(torch.equal(tensor, before[name]) for name, tensor in mixed.state_dict().items())
    images = torch.rand(20, *SHAPE)
    assert torch.equal(quick(images), mixed(images))


def test_a_layer_of_denormal_weights_alone_is_measured_as_it_is():
    tiny = network()
    with torch.no_grad():
        tiny[3].weight.mul_(1e-20).mul_(1e-20)
        tiny[3].bias.mul_(1e-20).mul_(1e-20)
    assert without_denormals(tiny, SHAPE) is tiny
    assert tiny(torch.rand(2, *SHAPE)).any()

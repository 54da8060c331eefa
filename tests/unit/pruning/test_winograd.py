"""The faster twin: the same convolutions and gradients, with fewer multiplications."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.pruning import winograd
from bench.pruning.gradients import adversarial_gradients
from bench.pruning.masks import prunable
from bench.pruning.winograd import Winograd, twin
from tests.support.pruning_networks import build, context


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("size", [(3, 3), (4, 4), (5, 9), (8, 8), (13, 6)])
def test_a_convolution_and_its_gradient_are_those_of_torch(size, bias):
    source = torch.Generator().manual_seed(0)
    weight, shift = torch.randn(6, 5, 3, 3, generator=source), torch.randn(6, generator=source)
    images, back = torch.randn(7, 5, *size, generator=source), torch.randn(7, 6, *size, generator=source)
    results = []
    for convolve in (Winograd(weight, shift if bias else None),
                     lambda x: functional.conv2d(x, weight, shift if bias else None, padding=1)):  # fmt: skip
        point = images.clone().requires_grad_()
        out = convolve(point)
        results.append((out.detach(), *torch.autograd.grad((out * back).sum(), point)))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)


def test_images_may_come_in_any_memory_format_and_in_parts(monkeypatch):
    source = torch.Generator().manual_seed(0)
    layer = Winograd(torch.randn(8, 8, 3, 3, generator=source), None)
    images = torch.randn(9, 8, 8, 8, generator=source)
    whole = layer(images)
    torch.testing.assert_close(layer(images.contiguous(memory_format=torch.channels_last)), whole, rtol=1e-4, atol=1e-4)
    monkeypatch.setattr(winograd, "_CACHED", 1)
    torch.testing.assert_close(layer(images), whole, rtol=1e-4, atol=1e-4)


class Wide(nn.Module):
    """Convolutions that may be replaced and ones that may not."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 128, 3, padding=1)
        self.block = nn.Sequential(nn.Conv2d(128, 128, 3, padding=1), nn.ReLU(), nn.Conv2d(128, 128, 3, padding=1))
        self.strided = nn.Conv2d(128, 128, 3, padding=1, stride=2)
        self.grouped = nn.Conv2d(128, 128, 3, padding=1, groups=2)
        self.head = nn.Linear(128, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        hidden = self.stem(images)
        hidden = hidden + self.block(hidden).relu()
        return self.head(self.grouped(self.strided(hidden)).mean(dim=(2, 3)))


def test_a_twin_replaces_the_wide_convolutions_and_leaves_the_network_as_it_is():
    with torch.random.fork_rng(devices=[]):
        network = Wide().eval().requires_grad_(requires_grad=False)
    before = copy.deepcopy(network.state_dict())
    images = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    faster = twin(network)
    replaced = [name for name, module in faster.named_modules() if isinstance(module, Winograd)]
    assert replaced == ["block.0", "block.2"]
    assert not any(module.training for module in faster.modules())
    assert not any(isinstance(module, Winograd) for module in network.modules())
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())
    torch.testing.assert_close(faster(images), network(images), rtol=1e-4, atol=1e-4)


def test_a_network_without_wide_convolutions_is_its_own_twin():
    network = build("residual")
    assert twin(network) is network


def test_gradients_at_the_images_of_a_twin_are_those_at_the_images_of_the_network(monkeypatch):
    with torch.random.fork_rng(devices=[]):
        network = Wide().eval().requires_grad_(requires_grad=False)
    given = context(points=8)
    weights = prunable(network, given.example)
    found = adversarial_gradients(network, weights, given, "test")
    monkeypatch.setattr(winograd, "LEAST_CHANNELS", 10**6)
    plain = adversarial_gradients(network, weights, given, "test")
    for name, gradient in found.items():
        apart = float((gradient - plain[name]).norm() / plain[name].norm())
        assert apart < 0.02, name

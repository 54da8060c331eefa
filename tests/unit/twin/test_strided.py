"""A strided convolution of images: torch's, with a gradient that takes another way."""

import pytest
import torch
from torch import nn

from bench.twin.strided import Strided, eligible
from bench.twin.twin import twin


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(4, 2, 1), (2, 2, 0), (4, 4, 0), (6, 2, 2), (5, 3, 1), (8, 2, 3), (7, 5, 1)]
)
@pytest.mark.parametrize("size", [(30, 60), (8, 8), (7, 11)])
def test_a_convolution_and_its_gradient_are_those_of_torch(kernel, stride, padding, size, bias):
    source = torch.Generator().manual_seed(0)
    plain = nn.Conv2d(3, 8, kernel, stride=stride, padding=padding, bias=bias).requires_grad_(requires_grad=False)
    for tensor in plain.parameters():
        tensor.copy_(torch.randn(tensor.shape, generator=source) / plain.weight[0].numel() ** 0.5)
    assert eligible(plain)
    point = torch.randn(2, 3, *size, generator=source).requires_grad_()
    results = []
    for layer in (plain, Strided(plain)):
        out = layer(point)
        results.append((out.detach(), *torch.autograd.grad(out.square().sum(), point)))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("module", "is_eligible"),
    [
        (nn.Conv2d(3, 8, 4, stride=4), True),
        (nn.Conv2d(1, 8, 4, stride=2, padding=1), True),
        (nn.Conv2d(8, 8, 4, stride=2, padding=1), False),
        (nn.Conv2d(3, 8, 3, stride=2, padding=1), False),
        (nn.Conv2d(3, 8, 3, padding=1), False),
        (nn.Conv2d(3, 8, (4, 2), stride=2), False),
        (nn.Conv2d(3, 8, 3, padding="same"), False),
        (nn.Conv2d(3, 6, 2, stride=2, groups=3), False),
        (nn.Conv2d(3, 8, 2, stride=2).double(), False),
    ],
)
def test_what_can_be_replaced(module, is_eligible):
    assert eligible(module) is is_eligible


def test_a_first_layer_is_replaced():
    layers = nn.Conv2d(3, 8, 4, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(128, 10)
    network = nn.Sequential(*layers).eval().requires_grad_(requires_grad=False)
    images = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert [type(layer) for layer in twin(network, images)] == [Strided, nn.ReLU, nn.Flatten, nn.Linear]

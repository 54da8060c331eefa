"""Winograd's convolution: torch's, with fewer multiplications."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.twin import winograd
from bench.twin.winograd import Winograd, eligible


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("size", [(3, 3), (4, 4), (5, 9), (8, 8), (13, 6)])
@pytest.mark.parametrize("batch", [1, 3, 20])
def test_a_convolution_and_its_gradient_are_those_of_torch(batch, size, bias):
    source = torch.Generator().manual_seed(0)
    weight, shift = torch.randn(32, 16, 3, 3, generator=source), torch.randn(32, generator=source)
    images, back = torch.randn(batch, 16, *size, generator=source), torch.randn(batch, 32, *size, generator=source)
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
    layer = Winograd(torch.randn(16, 16, 3, 3, generator=source), None)
    images = torch.randn(9, 16, 8, 8, generator=source)
    whole = layer(images)
    assert torch.equal(layer(images.contiguous(memory_format=torch.channels_last)), whole)
    assert torch.equal(layer(torch.cat([images, images], dim=3)[..., :8]), whole)
    monkeypatch.setattr(winograd, "_CACHED", 1)
    torch.testing.assert_close(layer(images), whole, rtol=1e-4, atol=1e-4)


def test_a_convolution_leaves_the_result_of_the_one_before_as_it_is():
    source = torch.Generator().manual_seed(0)
    layer = Winograd(torch.randn(16, 16, 3, 3, generator=source), None)
    first, second = torch.randn(2, 20, 16, 8, 8, generator=source)
    found = layer(first)
    kept = found.clone()
    layer(second)
    assert torch.equal(found, kept)


def test_a_copy_is_the_layer_itself():
    layer = Winograd(torch.ones(16, 16, 3, 3), None)
    assert copy.deepcopy(layer) is layer


class Another(nn.Conv2d):
    """Of another type, so it may compute something else."""


@pytest.mark.parametrize(
    ("module", "is_eligible"),
    [
        (nn.Conv2d(64, 64, 3, padding=1), True),
        (nn.Conv2d(64, 128, 3, padding=1, bias=False), True),
        (nn.Conv2d(48, 64, 3, padding=1), False),
        (nn.Conv2d(72, 64, 3, padding=1), False),
        (nn.Conv2d(64, 64, 3, padding=1, stride=2), False),
        (nn.Conv2d(64, 64, 3, padding=2, dilation=2), False),
        (nn.Conv2d(64, 64, 3, padding=1, groups=2), False),
        (nn.Conv2d(64, 64, 3), False),
        (nn.Conv2d(64, 64, 3, padding="same"), False),
        (nn.Conv2d(64, 64, 3, padding=1, padding_mode="reflect"), False),
        (nn.Conv2d(64, 64, 3, padding=1).double(), False),
        (nn.Conv2d(64, 64, 3, padding=1).to("meta"), False),
        (Another(64, 64, 3, padding=1), False),
        (nn.ConvTranspose2d(64, 64, 3, padding=1), False),
        (nn.Linear(64, 64), False),
    ],
)
def test_what_can_be_replaced(module, is_eligible):
    assert eligible(module) is is_eligible

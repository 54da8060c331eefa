"""The meter counts images, not calls, and stops whoever overruns."""

import pytest
import torch
from torch import nn

from bench.attacks.attack import Passes
from bench.errors import ContractError
from bench.evaluation.search.meter import Meter, clean_logits


@pytest.fixture
def network() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 3)).requires_grad_(requires_grad=False)


def test_images_are_counted_forward_and_backward(network):
    meter = Meter(network, 3)
    images = torch.rand(5, 1, 2, 2, requires_grad=True)
    meter(images.detach())
    torch.autograd.grad(meter(images).sum(), images)
    assert (meter.forwards, meter.backwards) == (10, 5)


def test_two_gradients_through_one_pass_count_twice(network):
    meter = Meter(network, 3)
    images = torch.rand(5, 1, 2, 2, requires_grad=True)
    logits = meter(images)
    torch.autograd.grad(logits[:, 0].sum(), images, retain_graph=True)
    torch.autograd.grad(logits[:, 1].sum(), images)
    assert (meter.forwards, meter.backwards) == (5, 10)


def test_the_meter_changes_neither_logits_nor_gradients(network):
    images = torch.rand(5, 1, 2, 2, requires_grad=True)
    (plain,) = torch.autograd.grad(network(images).square().sum(), images)
    (metered,) = torch.autograd.grad(Meter(network, 3)(images).square().sum(), images)
    torch.testing.assert_close(plain, metered, rtol=0, atol=0)


def test_an_overrun_is_stopped_at_once(network):
    meter = Meter(network, 3, Passes(9, 4))
    meter(torch.rand(5, 1, 2, 2))
    with pytest.raises(ContractError, match="10 forward passes; its budget is 9"):
        meter(torch.rand(5, 1, 2, 2))
    meter = Meter(network, 3, Passes(9, 4))
    images = torch.rand(5, 1, 2, 2, requires_grad=True)
    with pytest.raises(ContractError, match="5 backward passes; its budget is 4"):
        torch.autograd.grad(meter(images).sum(), images)


def test_nan_logits_give_no_number(network):
    network[1].weight[1, 2] = torch.nan
    with pytest.raises(ContractError, match=r"first at point 0\); it gives no number"):
        clean_logits(network, torch.rand(3, 1, 2, 2), batch=2)


def test_clean_logits_do_not_depend_on_the_batch(network):
    images = torch.rand(7, 1, 2, 2)
    torch.testing.assert_close(clean_logits(network, images, batch=2), clean_logits(network, images, batch=7))

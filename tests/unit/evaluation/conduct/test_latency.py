"""The unit of an attack's work, timed beside the parent."""

from fractions import Fraction

import pytest
import torch

from bench.evaluation.conduct.latency import REPEATS, latency
from bench.evaluation.plan.layout import lay_out
from bench.models.architecture import ARCHITECTURES
from bench.models.source import state_digest
from bench.pruning.prune import prune
from bench.pruning.recipe import Context


def test_a_child_with_a_fraction_of_the_work_is_timed_as_faster():
    parent = ARCHITECTURES["resnet18"].build().eval().requires_grad_(requires_grad=False)
    images = torch.rand(4, 3, 32, 32)
    child = prune(parent, "l2-inner", Fraction(9, 10), Context(images[:2])).network
    threads = torch.get_num_threads()
    timed = latency(parent, child, images, batch=4)
    assert (timed.clock, timed.batch, timed.repeats) == ("processor", 4, REPEATS)
    for times in (timed.parent, timed.network):
        assert list(times.forward) == sorted(times.forward)
        assert 0 < times.forward[1] < times.both[1]
    assert timed.times_faster == pytest.approx(timed.parent.both[1] / timed.network.both[1])
    assert timed.times_faster > 2
    assert torch.get_num_threads() == threads
    assert not any(parameter.requires_grad for parameter in parent.parameters())


def test_a_network_without_its_channels_lies_channels_last_and_says_the_same():
    parent = ARCHITECTURES["resnet20"].build().eval().requires_grad_(False)
    images = torch.rand(4, 3, 32, 32)
    pruned = prune(parent, "l2-inner", Fraction(1, 2), Context(images[:2]))
    before, digest = pruned.network(images), state_digest(pruned.network)
    thin = lay_out(pruned.network, pruned.measured, (3, 32, 32), torch.device("cpu"))
    assert thin.layer1[0].conv1.weight.is_contiguous(memory_format=torch.channels_last)
    assert not thin.layer1[0].conv1.weight.is_contiguous()
    torch.testing.assert_close(thin(images), before, rtol=1e-4, atol=1e-5)
    assert state_digest(thin) == digest
    whole = prune(parent, "magnitude-global", Fraction(1, 2), Context(images[:2]))
    kept = lay_out(whole.network, whole.measured, (3, 32, 32), torch.device("cpu"))
    assert kept.layer1[0].conv1.weight.is_contiguous()
    assert lay_out(whole.network, whole.measured, (3, 224, 224), torch.device("cuda")) is kept
    assert kept.layer1[0].conv1.weight.is_contiguous()
    large = lay_out(whole.network, whole.measured, (3, 224, 224), torch.device("cpu"))
    assert large.layer1[0].conv1.weight.is_contiguous(memory_format=torch.channels_last)

"""What the checks measure with."""

import logging
import warnings

import torch
from torch import nn

from bench.evaluation.checks.calls import STEPS, Calls
from bench.evaluation.checks.doubt import graded, spread
from bench.evaluation.checks.listening import listening
from bench.evaluation.checks.sensitivity import input_gradients, vanishing
from bench.evaluation.checks.straight_through import StraightThrough
from bench.evaluation.checks.zoo.replay import withstands
from bench.submission.schema import Level

BARS = {"warn": 0.1, "withhold": 0.5}


class Steps(nn.Module):
    """Two logits behind a threshold, a rounding, a sign and a choice."""

    def forward(self, images):
        bright = (images > 0.5).float() + torch.round(images * 3) + torch.sign(images - 0.3)
        chosen = torch.where(images >= 0.7, bright, images)
        return torch.stack([chosen.flatten(1).sum(dim=1), -images.flatten(1).sum(dim=1)], dim=1)


def images():
    return torch.linspace(0.02, 0.97, 48).view(3, 1, 4, 4)


def test_a_figure_is_graded_by_the_bars_it_exceeds():
    assert graded("x", 0.1, BARS, "") == []
    assert [flag.level for flag in graded("x", 0.5, BARS, "")] == [Level.WARN]
    assert [(flag.level, flag.threshold) for flag in graded("x", 0.51, BARS, "")] == [(Level.WITHHOLD, 0.5)]


def test_a_sample_is_spread_over_all_points():
    assert spread(torch.arange(10), 5.0).tolist() == [0, 2, 4, 6, 8]
    assert spread(torch.arange(3), 5.0).tolist() == [0, 1, 2]


def test_every_warning_is_heard_once():
    with listening() as heard:
        for _ in range(2):
            warnings.warn("steep\n  cliff", UserWarning, stacklevel=1)
            logging.getLogger("somebody").warning("low on %s", "luck")
    assert heard == ["UserWarning: steep cliff", "somebody: low on luck"]


def test_steps_are_seen_and_smooth_functions_are_not():
    with Calls(STEPS) as calls:
        Steps()(images())
        nn.functional.gelu(images()).relu().softmax(dim=1)
        torch.arange(3).gt(1)
    assert set(calls.seen) == {"gt", "ge", "round", "sign"}


def test_looking_through_steps_changes_no_answer_and_brings_slopes():
    leaf = images().requires_grad_()
    logits = StraightThrough(Steps())(leaf)
    torch.testing.assert_close(logits.detach(), Steps()(images()), rtol=1e-6, atol=1e-5)
    (through,) = torch.autograd.grad(logits[:, 0].sum(), leaf)
    plain = images().requires_grad_()
    (without,) = torch.autograd.grad(Steps()(plain)[:, 0].sum(), plain)
    assert int((without == 0).sum()) > 10
    assert int((through == 0).sum()) == 0


def test_a_saturated_softmax_hides_the_cross_entropy_alone():
    weight = torch.tensor([[1.0] * 16, [-1.0] * 16])
    gradients = input_gradients(lambda x: 1e4 * x.flatten(1) @ weight.T, images(), torch.zeros(3, dtype=torch.int64))
    flat = vanishing(gradients)
    assert flat["cross-entropy"].all()
    assert not flat["margin"].any()


def test_a_witness_withstands_by_more_than_rounding():
    """A tie to the last bits of float32 is no answer; a margin of a hundred thousandth of the logits is."""
    logits = torch.tensor([[10.0, 10.0 - 2e-6], [10.0, 10.0 - 1e-4], [10.0, 10.0], [9.0, 10.0]])
    assert withstands(logits, torch.zeros(4, dtype=torch.int64)).tolist() == [False, True, False, False]

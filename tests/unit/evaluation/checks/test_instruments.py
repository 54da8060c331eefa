"""What the checks measure with."""

import logging
import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn

from bench.evaluation.checks.calls import STEPS, Calls
from bench.evaluation.checks.doubt import graded, spread
from bench.evaluation.checks.gap import change, gap, rounding
from bench.evaluation.checks.listening import listening
from bench.evaluation.checks.sensitivity import gradients_at, input_gradients, kept_promise, vanishing
from bench.evaluation.checks.straight_through import StraightThrough
from bench.evaluation.checks.zoo.replay import withstands
from bench.evaluation.search.meter import Meter
from bench.submission.schema import Level
from tests.support.cheats import Turned
from tests.support.defects import After, Before
from tests.support.suspects import Suspect, embedded, evidence_of

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

    def linear(x):
        return 60 * x.flatten(1) @ weight.T

    top = images()[2:]
    usual = torch.tensor([[100.0, 0.0]])
    flat = vanishing(input_gradients(linear, top, torch.zeros(1, dtype=torch.int64), usual))
    assert flat["cross-entropy"].all()
    assert not flat["margin"].any()


@pytest.mark.parametrize("scale", [1e-30, 1e-8, 1e8, 1e30])
def test_gradients_of_logits_of_no_usual_size_are_looked_at_in_the_unit_of_attacks(scale):
    weight = torch.tensor([[1.0] * 16, [-1.0] * 16]) * scale
    linear, labels = lambda x: x.flatten(1) @ weight.T, torch.zeros(3, dtype=torch.int64)
    flat = vanishing(input_gradients(linear, images(), labels, linear(images())))
    assert not any(points.any() for points in flat.values())


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_a_gradient_is_held_against_what_the_answers_do_in_any_unit(scale):
    """On a plane all of the rise comes, at the border of [0, 1] too; turned round, the answers go against it."""
    weight = torch.tensor([[1.0] * 16, [-1.0] * 16]) * scale
    shown = images().clamp(0, 0.5) * 2

    def ratio(network):
        with torch.no_grad():
            logits = network(shown)
        evidence = replace(
            evidence_of(Suspect(embedded("digits-tiny-linf"))), network=network, model=Meter(network, 2),
            images=shown, labels=torch.zeros(3, dtype=torch.int64), ids=torch.arange(3), logits=logits,
        )  # fmt: skip
        rows = torch.arange(3)
        return kept_promise(evidence, rows, gradients_at(evidence, rows)["margin"])

    plane = Before(lambda x: x.flatten(1) @ weight.T, lambda x: x)
    assert ratio(plane).tolist() == pytest.approx([1.0] * 3, rel=0.01)
    assert ratio(Turned(plane)).tolist() == pytest.approx([-1.0] * 3, rel=0.01)
    assert (ratio(After(plane, lambda z: z + 3e5 * scale)) > 0.5).all()


def test_a_witness_withstands_by_more_than_rounding():
    """A tie to the last bits of float32 is no answer; a margin of a hundred thousandth of their spread is."""
    logits = torch.tensor([[10.0, 10.0 - 2e-6, -20], [10.0, 10.0 - 1e-4, -20], [10.0, 10.0, -20], [9.0, 10.0, -20]])
    assert withstands(logits, torch.zeros(4, dtype=torch.int64), 1.0).tolist() == [False, True, False, False]


def test_neither_an_offset_nor_one_low_logit_makes_a_lead_look_like_rounding():
    none = torch.zeros(1, dtype=torch.int64)
    assert withstands(torch.tensor([[0.25, 0.0, -1.0]]) + 3e5, none, 1.0).all()
    assert withstands(torch.tensor([[0.25, 0.0, -1e9]]), none, 1.0).all()
    assert not withstands(torch.tensor([[0.05, 0.0, -1e9]]), none, 1.0).any()


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (1e-30, 0.0), (1e30, 0.0), (1.0, 3e5)])
def test_what_moves_is_measured_in_gaps_whatever_the_unit_and_the_offset(scale, offset):
    clean = torch.tensor([[4.0, 2.0, 0.0], [3.0, 2.0, 1.0], [0.0, 1.0, 0.0]]) * scale + offset
    moved = clean + torch.tensor([[0.5, 0.0, 0.0]]) * scale
    assert gap(clean) == pytest.approx(scale)
    assert change(clean, moved, clean) == pytest.approx(1 / 3)
    assert change(clean, clean + scale, clean) == pytest.approx(0, abs=1e-6)


def test_the_gap_of_an_offset_is_rounded_and_that_of_a_unit_is_not():
    clean = torch.tensor([[4.0, 2.0, 0.0], [3.0, 2.0, 1.0], [0.0, 1.0, 0.0]])
    assert rounding(clean) == rounding(clean * 2.0**-90) == rounding(clean * 2.0**90) < 1e-6
    assert rounding(clean + 3e5) == 2.0**-5
    assert rounding(torch.zeros(2, 3)) == 0
    assert change(torch.zeros(2, 3), torch.ones(2, 3), torch.zeros(2, 3)) == 0
    assert change(torch.zeros(2, 3), torch.eye(3)[:2], torch.zeros(2, 3)) == float("inf")

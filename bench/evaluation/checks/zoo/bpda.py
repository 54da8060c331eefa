"""BPDA replay: where a network has hard thresholds, attacks that look through them break nothing more."""

import torch
from torch import Tensor

from bench.evaluation.checks.calls import STEPS, Calls
from bench.evaluation.checks.check import CHECKS, Campaign, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import GRADED, concluding, doubt, graded, spread
from bench.evaluation.checks.gap import change
from bench.evaluation.checks.probe import at_radius, attack, gradient_turns, standing
from bench.evaluation.checks.straight_through import StraightThrough
from bench.submission.schema import Flag, Level
from bench.threats import ThreatModel

_SAME = 1e-3
"""Most that its logits may move where a network is looked through, in gaps between classes."""


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Watch one pass for functions without a slope; if there are any, attack through a version that has one."""
    campaign = evidence.campaign
    if campaign is None:
        return []
    with torch.no_grad(), Calls(STEPS, casts=True) as calls:
        evidence.model(evidence.images[:1])
    if not calls.seen:
        return []
    steps = ", ".join(sorted(calls.seen))
    view = StraightThrough(evidence.network)
    problem = _problem(evidence, view)
    if problem:
        says = (
            f"The network uses functions without a slope ({steps}), and they cannot be looked through ({problem}); "
            "gradient attacks may be blind, so read the black-box result."
        )
        return [doubt("bpda", Level.WARN, None, None, says)]
    found: list[Flag] = []
    for threat in campaign.threats:
        rows = spread(standing(evidence, threat), thresholds["points"])
        if not len(rows):
            continue
        left = _attack(evidence, campaign, rows, threat, view)
        broken = len(rows) - len(left)
        says = concluding(
            len(evidence.labels),
            f"{threat}: the network has hard thresholds ({steps}), and attacks that look through them break {broken} "
            f"of {len(rows)} points that withstood the others",
            "robustness of this kind comes from masked gradients",
        )
        found += graded("bpda", broken / len(rows), thresholds, says)
    return found


def _problem(evidence: Evidence, view: StraightThrough) -> str:
    """Tell why the version with slopes is no use: it crashes, answers otherwise or still has no gradient."""
    images = evidence.images[:2].clone().requires_grad_()
    try:
        with torch.enable_grad():
            logits = view(images)
    except (RuntimeError, TypeError, ValueError) as error:
        return str(error).splitlines()[0][:120]
    if not change(evidence.logits[:2], logits.detach(), evidence.logits) <= _SAME:
        return "its answers change"
    return "" if logits.requires_grad else "no gradient comes through"


def _attack(evidence: Evidence, campaign: Campaign, rows: Tensor, threat: ThreatModel, view: StraightThrough) -> Tensor:
    left = rows
    for turn in gradient_turns(campaign.against(threat)):
        if len(left):
            left = left[~attack(evidence, left, turn.attack, threat, at_radius(turn.settings, threat), through=view)]
    return left


CHECKS.register("bpda")(
    Check(
        name="bpda",
        stage=Stage.ATTACKS,
        examine=examine,
        thresholds={"points": "standing points attacked per threat model", **GRADED},
        catches="hard thresholds and quantisation that hide slopes from gradient attacks",
        source="Athalye et al. 2018, arXiv:1802.00420",
    )
)

"""Unbounded attack: without a limit on the perturbation, nearly every point falls."""

import math
from fractions import Fraction

from torch import Tensor

from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds, Turn
from bench.evaluation.checks.doubt import GRADED, concluding, graded, spread
from bench.evaluation.checks.probe import at_radius, attack, gradient_turns
from bench.submission.schema import Flag
from bench.threats import Norm, ThreatModel


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Run the gradient attacks of each cascade on a ball that holds the whole box: under L0, all pixels.

    An attack that looks no farther than some pixels has a limit of its own, and is left out.
    """
    campaign = evidence.campaign
    if campaign is None:
        return []
    rows = spread(campaign.pool.correct.nonzero().flatten(), thresholds["points"])
    found: list[Flag] = []
    for threat in campaign.threats:
        whole, left = _whole_box(threat.norm, evidence.images[0]), rows
        turns = [turn for turn in gradient_turns(campaign.against(threat)) if _without_limit(turn, whole)]
        if not turns or not len(rows):
            continue
        for turn in turns:
            if len(left):
                left = left[~attack(evidence, left, turn.attack, whole, at_radius(turn.settings, whole))]
        says = concluding(
            len(evidence.labels),
            f"{threat.norm}: with no limit on the perturbation, {len(left)} of {len(rows)} points still stand, where "
            "any image may be reached",
            "the attacks fail for another reason than robustness",
        )
        found += graded("unbounded", len(left) / len(rows), thresholds, says)
    return found


def _without_limit(turn: Turn, whole: ThreatModel) -> bool:
    limit = turn.attack.looks_up_to
    return limit is None or limit(at_radius(turn.settings, whole)) >= whole.epsilon


def _whole_box(norm: Norm, image: Tensor) -> ThreatModel:
    """Return a radius within which every image lies."""
    channels, height, width = image.shape
    most = {Norm.LINF: 1, Norm.L2: math.isqrt(channels * height * width) + 1, Norm.L0: height * width}
    return ThreatModel(norm, Fraction(most[norm]))


CHECKS.register("unbounded")(
    Check(
        name="unbounded",
        stage=Stage.ATTACKS,
        examine=examine,
        thresholds={"points": "correct points attacked", **GRADED},
        catches="masked gradients, broken attacks, networks that answer everything alike",
        source="Athalye et al. 2018, arXiv:1802.00420; Carlini et al. 2019, arXiv:1902.06705",
    )
)

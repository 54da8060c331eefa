"""Black box: an adversary without gradients breaks hardly anything that one with gradients has not broken."""

from bench.attacks.attack import Access
from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import concluding, graded
from bench.submission.schema import Flag
from bench.submission.score import wilson
from bench.threats import Norm


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Count, per threat model, what query attacks broke after gradient attacks had their turn.

    The figure is the lower end of the 95 % interval of that share, so a single lucky point is no doubt.
    """
    campaign = evidence.campaign
    found: list[Flag] = []
    for threat in campaign.threats if campaign else ():
        assert campaign is not None
        seen_gradients, extra = False, 0
        for turn in campaign.against(threat):
            if turn.attack.access is Access.WHITE_BOX:
                seen_gradients = True
            elif seen_gradients:
                extra += turn.broken
        mark = "_l0" if threat.norm is Norm.L0 else ""
        bars = {"warn": thresholds["warn" + mark], "withhold": thresholds["withhold" + mark]}
        points = len(evidence.labels)
        says = concluding(
            points,
            f"{threat}: queries alone break {extra} of {points} points that withstood every attack with gradients",
            "the gradients are masked, and an attack made for this model may break more",
        )
        found += graded("black-box", wilson(extra, points).low, bars, says)
    return found


CHECKS.register("black-box")(
    Check(
        name="black-box",
        stage=Stage.ATTACKS,
        examine=examine,
        thresholds={
            "warn": "Linf and L2: share above which a reader is warned",
            "withhold": "Linf and L2: share above which the number is withheld",
            "warn_l0": "the same for L0, where queries are strong",
            "withhold_l0": "the same for L0",
        },
        catches="masked gradients: quantised activations, thresholds, saturation",
        source="Athalye et al. 2018, arXiv:1802.00420; Croce & Hein 2020, arXiv:2003.01690, checks of AutoAttack",
    )
)

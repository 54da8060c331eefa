"""Loss gap: the cross-entropy breaks about as much as the scale-free DLR loss, and no loss leads nowhere."""

from collections.abc import Sequence

from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds, Turn
from bench.evaluation.checks.doubt import GRADED, concluding, graded
from bench.evaluation.checks.probe import gradient_turns
from bench.submission.schema import Flag
from bench.submission.score import wilson
from bench.threats import ThreatModel

CROSS_ENTROPY, DLR = "apgd-ce", "apgd-t"


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Count what APGD on the DLR loss broke after the cross-entropy, and any attack after one that broke nothing."""
    campaign = evidence.campaign
    found: list[Flag] = []
    for threat in campaign.threats if campaign else ():
        assert campaign is not None
        found += _idle(campaign.against(threat), threat, len(evidence.labels), thresholds)
        broken = {turn.attack.name: turn.broken for turn in campaign.against(threat)}
        if CROSS_ENTROPY not in broken or DLR not in broken:
            continue
        share = broken[DLR] / max(evidence.correct, 1)
        says = concluding(
            len(evidence.labels),
            f"{threat}: the DLR loss breaks {broken[DLR]} of {evidence.correct} correct points after the cross-entropy "
            f"broke {broken[CROSS_ENTROPY]}",
            "the scale of the logits hides slopes from the cross-entropy",
        )
        found += graded("loss-gap", share, thresholds, says)
    return found


def _idle(turns: Sequence[Turn], threat: ThreatModel, points: int, thresholds: Thresholds) -> list[Flag]:
    """Doubt the attacks with gradients that broke nothing where later ones broke much.

    The figure is the lower end of the 95 % interval of the share of its points that the later ones broke.
    """
    found: list[Flag] = []
    for turn in gradient_turns(turns):
        tried = turn.tally.attempted
        if turn.broken or not tried:
            continue
        later = min(sum(other.broken for other in turns[turns.index(turn) + 1 :]), tried)
        says = concluding(
            points,
            f"{threat}: {turn.attack.name} breaks none of {tried} points, and later attacks {later} of them",
            "it does not work on this model, and is missing where the others fail",
        )
        found += graded("loss-gap", wilson(later, tried).low, thresholds, says)
    return found


CHECKS.register("loss-gap")(
    Check(
        name="loss-gap",
        stage=Stage.ATTACKS,
        examine=examine,
        thresholds=GRADED,
        catches="gradient masking by the scale of the logits; a gradient attack of the cascade that breaks nothing",
        source="Croce & Hein 2020, arXiv:2003.01690, section 4",
    )
)

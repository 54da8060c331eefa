"""Loss gap: the cross-entropy breaks about as much as the scale-free DLR loss."""

from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import GRADED, concluding, graded
from bench.submission.schema import Flag

CROSS_ENTROPY, DLR = "apgd-ce", "apgd-t"


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Count what APGD on the DLR loss broke after APGD on the cross-entropy had its turn."""
    campaign = evidence.campaign
    found: list[Flag] = []
    for threat in campaign.threats if campaign else ():
        assert campaign is not None
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


CHECKS.register("loss-gap")(
    Check(
        name="loss-gap",
        stage=Stage.ATTACKS,
        examine=examine,
        thresholds=GRADED,
        catches="gradient masking by the scale of the logits",
        source="Croce & Hein 2020, arXiv:2003.01690, section 4",
    )
)

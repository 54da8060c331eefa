"""Transfer: the parent's adversarial images break hardly anything that attacks on the network itself have missed."""

from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import GRADED, concluding, graded
from bench.submission.schema import Flag
from bench.submission.score import wilson


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Count the points that stood when the attacks had run and fell to what the scenarios replayed.

    The figure is the lower end of the 95 % interval of that share.
    """
    campaign = evidence.campaign
    found: list[Flag] = []
    for threat in campaign.threats if campaign else ():
        assert campaign is not None
        lost, points = campaign.transferred.get(threat.norm, 0), len(evidence.labels)
        says = concluding(
            points,
            f"{threat}: images crafted without this network's gradients break {lost} of {points} points that its own "
            "attacks have missed, and count",
            "those attacks are not at their strongest here",
        )
        found += graded("transfer", wilson(lost, points).low, thresholds, says)
    return found


CHECKS.register("transfer")(
    Check(
        name="transfer",
        stage=Stage.ATTACKS,
        examine=examine,
        thresholds=GRADED,
        catches="masked gradients that the dense parent does not have",
        source="Carlini et al. 2019, arXiv:1902.06705; RobustBench on Kang et al. 2021",
    )
)

"""Cross-norm consistency: what other norms' attacks break within a radius, the attacks of its own norm break, too."""

from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import GRADED, concluding, graded
from bench.submission.schema import Flag


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Count, per threat model, the points that its whole cascade left and a witness of another norm had broken."""
    campaign, points, found = evidence.campaign, len(evidence.labels), list[Flag]()
    for threat in campaign.threats if campaign else ():
        assert campaign is not None
        lent = int(campaign.lent[threat.norm].sum())
        says = concluding(
            points,
            f"{threat}: witnesses of other norms break {lent} of {points} points that withstand its own cascade, and "
            "count",
            "that cascade has not converged, and alone it would overstate robust accuracy",
        )
        found += graded("cross-norm", lent / points, thresholds, says)
    return found


CHECKS.register("cross-norm")(
    Check(
        name="cross-norm",
        stage=Stage.ATTACKS,
        examine=examine,
        thresholds=GRADED,
        catches="attacks that have not converged, such as C&W at the wrong step size",
        source="this benchmark; 88 % of the comparisons in the data of arXiv:2108.08560 violate it",
    )
)

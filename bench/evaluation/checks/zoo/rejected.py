"""Rejected candidates: an attack with a radius stays within it."""

from bench.attacks.attack import Kind
from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import GRADED, graded
from bench.submission.schema import Flag


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Count the candidates that fool the model outside the ball."""
    found: list[Flag] = []
    for turn in evidence.campaign.turns if evidence.campaign else ():
        tally = turn.tally
        if turn.attack.kind is not Kind.FIXED_BUDGET or not tally.attempted:
            continue
        says = (
            f"{turn.threat}: {tally.rejected} candidates of {tally.attack} fool the model outside the ball and do not "
            "count; an attack that leaves its ball may have missed what lies within."
        )
        found += graded("rejected", tally.rejected / tally.attempted, thresholds, says)
    return found


CHECKS.register("rejected")(
    Check(
        name="rejected",
        stage=Stage.ATTACKS,
        examine=examine,
        thresholds=GRADED,
        catches="attacks whose projection is wrong",
        source="Carlini et al. 2019, arXiv:1902.06705",
    )
)

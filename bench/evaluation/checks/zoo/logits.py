"""Logits: the outputs are finite, unnormalised scores."""

from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import doubt, first
from bench.submission.schema import Flag, Level


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Look for NaN, for probabilities, and for outputs that are not one row per image."""
    logits = evidence.logits
    unfit = ~logits.isfinite().all(dim=1)
    if unfit.any():
        says = (
            f"The network returns NaN or infinity for {int(unfit.sum())} of {len(logits)} clean images (first at "
            f"point {int(evidence.ids[first(unfit)])}); it gives no number."
        )
        return [doubt("logits", Level.WITHHOLD, float(unfit.float().mean()), 0.0, says)]
    slack = thresholds["tolerance"]
    sums = float((logits.sum(dim=1) - 1).abs().amax())
    if not bool(((logits >= -slack) & (logits <= 1 + slack)).all()) or sums > slack * logits.shape[1]:
        return []
    says = (
        "The network returns probabilities: every output lies in [0, 1] and every row sums to 1. Attacks need logits, "
        "for gradients vanish behind a softmax; remove the last layer."
    )
    return [doubt("logits", Level.WITHHOLD, sums, slack * logits.shape[1], says)]


CHECKS.register("logits")(
    Check(
        name="logits",
        stage=Stage.ADMISSION,
        examine=examine,
        thresholds={"tolerance": "rounding allowed to an output of a softmax"},
        catches="networks that end in a softmax; NaN and infinity",
        source="Croce & Hein 2020, arXiv:2003.01690, checks of AutoAttack; bethgelab/foolbox issue 618",
    )
)

"""Logits: the outputs are finite, unnormalised scores of a usual size."""

from bench.attacks.units import exponents
from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import doubt, first
from bench.evaluation.checks.gap import gap, rounding
from bench.submission.schema import Flag, Level
from bench.tensors import Logits

_COARSE = 2.0**-10
"""Spacing of float32 at the largest logits, in gaps between classes, from which on verdicts hang on it."""


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Look for NaN, for probabilities, and for logits that are no match for float32."""
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
        return _of_no_usual_size(logits)
    says = (
        "The network returns probabilities: every output lies in [0, 1] and every row sums to 1. Attacks need logits, "
        "for gradients vanish behind a softmax; remove the last layer."
    )
    return [doubt("logits", Level.WITHHOLD, sums, slack * logits.shape[1], says)]


def _of_no_usual_size(logits: Logits) -> list[Flag]:
    """Count the points that attacks see in another unit, and hold the spacing of float32 against the gap of classes."""
    found: list[Flag] = []
    unusual = exponents(logits) != 0
    if unusual.any():
        says = (
            f"{int(unusual.sum())} of {len(logits)} clean images have logits of no usual size (median gap between the "
            f"first two classes {gap(logits):.2g}); attacks see them in another unit, and those of others may fail."
        )
        found.append(doubt("logits", Level.WARN, float(unusual.float().mean()), 0.0, says))
    coarse = rounding(logits)
    if coarse > _COARSE:
        says = (
            f"float32 rounds the largest logits to {coarse:.2g} of the gap between the first two classes, so verdicts "
            "near a boundary hang on rounding; take off what all logits have in common."
        )
        found.append(doubt("logits", Level.WARN, coarse, _COARSE, says))
    return found


CHECKS.register("logits")(
    Check(
        name="logits",
        stage=Stage.ADMISSION,
        examine=examine,
        thresholds={"tolerance": "rounding allowed to an output of a softmax"},
        catches="networks that end in a softmax; NaN and infinity; logits too large, small or far from zero for losses",
        source="Croce & Hein 2020, arXiv:2003.01690, checks of AutoAttack; bethgelab/foolbox issue 618",
    )
)

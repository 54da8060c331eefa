"""Sparsity: as many weights are exactly zero as is claimed."""

from fractions import Fraction

from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import doubt
from bench.pruning.masks import prunable
from bench.submission.schema import Flag, Level


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Compare the zeros that were counted with the claim, and with those that the parent had."""
    return [*_claimed(evidence, thresholds), *_inherited(evidence, thresholds)]


def _claimed(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    measured, claim = evidence.measured, evidence.claim
    if measured is None or claim.target is None or claim.structure != "unstructured":
        return []
    gap = sparsity_gap(Fraction(measured.zeros, measured.prunable), claim.target)
    if gap <= thresholds["gap"]:
        return []
    tiny = _nearly_zero(evidence, thresholds["tiny"])
    says = (
        f"{measured.zeros:,} of {measured.prunable:,} prunable weights are zero, "
        f"{100 * measured.zeros / measured.prunable:.2f} %; the claim is {100 * float(claim.target):.2f} %. "
        f"{tiny:,} more are below {thresholds['tiny']:g} of the largest weight, which is not zero."
    )
    return [doubt("sparsity", Level.WITHHOLD, gap, thresholds["gap"], says)]


def _inherited(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Count the zeros that were zero, or zero in all but name, in the parent: pruning did not make them."""
    measured, parent = evidence.measured, evidence.parent
    if measured is None or parent is None or evidence.claim.structure == "dense":
        return []
    before, own = prunable(parent, evidence.images[:1]), dict(evidence.network.named_parameters())
    bar, found = thresholds["tiny"] * max(float(weight.abs().max()) for weight in before.values()), 0
    for name, weight in before.items():
        after = own[name].detach()
        if after.shape == weight.shape:
            found += int(((weight.abs() < bar) & (after == 0)).sum())
    if found <= measured.zeros - found:
        return []
    says = (
        f"{found:,} of the {measured.zeros:,} zeros were zero in the dense parent already, or below "
        f"{thresholds['tiny']:g} of its largest weight: most of the pruning was done before, and cost nothing here."
    )
    return [doubt("sparsity", Level.WARN, found / measured.zeros, None, says)]


def _nearly_zero(evidence: Evidence, relative: float) -> int:
    weights = prunable(evidence.network, evidence.images[:1]).values()
    bar = relative * max(float(weight.abs().max()) for weight in weights)
    return sum(int(((weight != 0) & (weight.abs() < bar)).sum()) for weight in weights)


def sparsity_gap(measured: Fraction, claimed: Fraction) -> float:
    """Return how far a measured share of zeros lies from the claimed one."""
    return float(abs(measured - claimed))


CHECKS.register("sparsity")(
    Check(
        name="sparsity",
        stage=Stage.PRUNING,
        examine=examine,
        thresholds={
            "gap": "most that measured and claimed sparsity may differ",
            "tiny": "size, relative to the largest weight, below which a weight is zero in all but name",
        },
        catches="declared sparsity that the weights do not have; small weights counted as zeros; sparse parents",
        source="Blalock et al. 2020, arXiv:2003.03033; 35 % of the runs of arXiv:2108.08560 miss theirs by 2 points",
    )
)

"""Structure: the zeros lie in the pattern that is claimed."""

from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import doubt
from bench.pruning.measure import Measured
from bench.pruning.pattern import broken_blocks, why_not
from bench.submission.schema import Flag, Level


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Look for removed channels or for blocks of two in four, as claimed, and for zeros in what is called dense."""
    measured, claim = evidence.measured, evidence.claim
    if measured is None:
        return []
    if claim.structure == "channel" and not measured.removed:
        says = f"Channel pruning is claimed. {why_not('channel', evidence.network, measured, evidence.images[:1])}"
        return [doubt("structure", Level.WITHHOLD, 0.0, None, says)]
    if claim.structure == "2of4":
        return _two_of_four(evidence, measured)
    share = measured.zeros / measured.prunable
    if claim.structure == "dense" and share > thresholds["dense"]:
        says = (
            f"{measured.zeros:,} of {measured.prunable:,} prunable weights of a network called dense are zero; say "
            "how it was pruned and name its parent."
        )
        return [doubt("structure", Level.WARN, share, thresholds["dense"], says)]
    return []


def _two_of_four(evidence: Evidence, measured: Measured) -> list[Flag]:
    shown = evidence.images[:1]
    broken, total = broken_blocks(evidence.network, shown)
    if total and not broken:
        return []
    says = f"2of4 is claimed. {why_not('2of4', evidence.network, measured, shown)}"
    return [doubt("structure", Level.WITHHOLD, broken / max(total, 1), 0.0, says)]


CHECKS.register("structure")(
    Check(
        name="structure",
        stage=Stage.PRUNING,
        examine=examine,
        thresholds={"dense": "share of zeros above which a network called dense is not"},
        catches="structured claims on unstructured zeros, masked channels sold as removed, sparse nets called dense",
        source="Blalock et al. 2020, arXiv:2003.03033; Mishra et al. 2021, arXiv:2104.08378",
    )
)

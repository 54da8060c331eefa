"""Parent: a pruned network names the dense one it came from, and that one is measured under the same rules."""

from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import doubt
from bench.submission.schema import Flag, Level


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Ask where a pruned network comes from."""
    del thresholds
    claim = evidence.claim
    if claim.structure == "dense":
        return []
    if claim.parent is None:
        says = (
            "The network is pruned and names no dense parent, so its sparsity is measured against itself and nobody "
            "can tell what pruning cost; name the parent."
        )
        return [doubt("parent", Level.WITHHOLD, None, None, says)]
    if claim.parent_is_measured:
        return []
    says = f"No result of the dense parent {claim.parent} under these rules is at hand; evaluate it too."
    return [doubt("parent", Level.INFORM, None, None, says)]


CHECKS.register("parent")(
    Check(
        name="parent",
        stage=Stage.PRUNING,
        examine=examine,
        thresholds={},
        catches="pruned networks without a dense control measured alike",
        source="Blalock et al. 2020, arXiv:2003.03033",
    )
)

"""Structure: the zeros lie in the pattern that is claimed."""

from torch import nn

from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import doubt
from bench.pruning.blocks import BLOCK, blocks, eligible, violations
from bench.pruning.masks import prunable
from bench.submission.schema import Flag, Level


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Look for removed channels or for blocks of two in four, as claimed, and for zeros in what is called dense."""
    measured, claim = evidence.measured, evidence.claim
    if measured is None:
        return []
    if claim.structure == "channel" and not measured.removed:
        silent = _silent_channels(evidence.network)
        says = (
            "Channel pruning is claimed, and no channel is removed: every tensor has its parent's shape "
            f"({silent} channels are all zeros). Cut the network down; masked channels still pass a shift on."
        )
        return [doubt("structure", Level.WITHHOLD, 0.0, None, says)]
    if claim.structure == "2of4":
        return _two_of_four(evidence)
    share = measured.zeros / measured.prunable
    if claim.structure == "dense" and share > thresholds["dense"]:
        says = (
            f"{measured.zeros:,} of {measured.prunable:,} prunable weights of a network called dense are zero; say "
            "how it was pruned and name its parent."
        )
        return [doubt("structure", Level.WARN, share, thresholds["dense"], says)]
    return []


def _two_of_four(evidence: Evidence) -> list[Flag]:
    layers = {name: w for name, w in prunable(evidence.network, evidence.images[:1]).items() if eligible(w)}
    total = sum(len(blocks(weight)) for weight in layers.values())
    broken = sum(violations(weight) for weight in layers.values())
    if total and not broken:
        return []
    says = (
        f"2of4 is claimed, and {broken:,} of {total:,} blocks of {BLOCK} hold more than two weights."
        if total
        else "2of4 is claimed, and no layer is eligible for it."
    )
    return [doubt("structure", Level.WITHHOLD, broken / max(total, 1), 0.0, says)]


def _silent_channels(network: nn.Module) -> int:
    weights = (module.weight for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear))
    return sum(int((weight.detach() == 0).flatten(1).all(dim=1).sum()) for weight in weights)


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

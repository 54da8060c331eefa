"""Layer collapse: every layer keeps a weight."""

from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import doubt
from bench.submission.schema import Flag, Level


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Name the layers without a weight, and warn of those with hardly any."""
    if evidence.measured is None:
        return []
    layers = evidence.measured.layers
    dead = evidence.measured.collapsed_layers
    if dead:
        says = (
            f"{len(dead)} of {len(layers)} prunable layers have no weight left ({', '.join(dead[:3])}); what follows "
            "them sees a constant, unless a shortcut leads around."
        )
        return [doubt("layer-collapse", Level.WARN, float(len(dead)), 0.0, says)]
    thin = [layer.name for layer in layers if layer.weights - layer.zeros < thresholds["weights"] <= layer.weights]
    if not thin:
        return []
    says = f"{len(thin)} of {len(layers)} prunable layers keep fewer than {thresholds['weights']:g} weights: {thin[0]}."
    return [doubt("layer-collapse", Level.INFORM, float(len(thin)), 0.0, says)]


CHECKS.register("layer-collapse")(
    Check(
        name="layer-collapse",
        stage=Stage.PRUNING,
        examine=examine,
        thresholds={"weights": "least number of weights a layer should keep"},
        catches="layers that global pruning has emptied",
        source="Tanaka et al. 2020, arXiv:2006.05467",
    )
)

"""Gradient calls: a forward pass does not optimise its own input."""

from bench.evaluation.checks.calls import GRADIENT_CALLS, Calls
from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import doubt
from bench.submission.schema import Flag, Level


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Watch one forward pass for calls of autograd."""
    del thresholds
    with Calls(GRADIENT_CALLS) as calls:
        evidence.model(evidence.images[:2])
    if not calls.seen:
        return []
    count = sum(calls.seen.values())
    says = (
        f"A forward pass asks autograd for gradients {count} times ({', '.join(sorted(calls.seen))}): the network "
        "optimises at test time, which these attacks cannot judge; it needs an attack made for it."
    )
    return [doubt("gradient-calls", Level.WITHHOLD, float(count), 0.0, says)]


CHECKS.register("gradient-calls")(
    Check(
        name="gradient-calls",
        stage=Stage.ADMISSION,
        examine=examine,
        thresholds={},
        catches="defences that run an optimisation loop in the forward pass",
        source="RobustBench's rule 3, Croce et al. 2021, arXiv:2010.09670",
    )
)

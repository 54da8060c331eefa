"""Zero gradients: no loss of an attack is flat where another one is not."""

from bench.errors import ContractError
from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import GRADED, graded, spread
from bench.evaluation.checks.sensitivity import gradients_at, vanishing
from bench.submission.schema import Flag


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Count, per loss, the correct points whose gradient is exactly zero, and report the worst loss."""
    right = (evidence.logits.argmax(dim=1) == evidence.labels).nonzero().flatten()
    rows = spread(right, thresholds["points"])
    if not len(rows):
        return []
    try:
        flat = vanishing(gradients_at(evidence, rows))
    except ContractError:
        return []  # the check of gradients refuses such a model
    worst = max(flat, key=lambda name: int(flat[name].sum()))
    others = ", ".join(f"{name} {int(points.sum())}" for name, points in flat.items() if name != worst)
    says = (
        f"The {worst} has no input gradient at {int(flat[worst].sum())} of {len(rows)} correct points ({others}): an "
        "attack that ascends it stands still there."
    )
    return graded("zero-gradients", float(flat[worst].float().mean()), thresholds, says)


CHECKS.register("zero-gradients")(
    Check(
        name="zero-gradients",
        stage=Stage.ADMISSION,
        examine=examine,
        thresholds={"points": "correct points looked at", **GRADED},
        catches="losses without slope: steps, plateaus, saturation",
        source="Croce & Hein 2020, arXiv:2003.01690, checks of AutoAttack, there for the DLR loss alone",
    )
)

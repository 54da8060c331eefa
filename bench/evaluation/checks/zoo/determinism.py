"""Determinism: the same images give the same logits every time."""

import torch

from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import doubt, spread
from bench.evaluation.checks.gap import change
from bench.submission.schema import Flag, Level


@torch.no_grad()
def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Pass one batch several times and compare every logit with the first time's."""
    rows = spread(torch.arange(len(evidence.images), device=evidence.images.device), thresholds["points"])
    images = evidence.images[rows]
    before = evidence.model(images)
    worst = 0.0
    for _ in range(int(thresholds["repeats"])):
        worst = max(worst, change(before, evidence.model(images), evidence.logits))
    if worst <= thresholds["tolerance"]:
        return []
    says = (
        f"The same images give other logits when asked again: they move by {worst:.2g} of the gap between classes. "
        "A random network cannot be attacked fairly; switch the randomness off."
    )
    return [doubt("determinism", Level.WITHHOLD, worst, thresholds["tolerance"], says)]


CHECKS.register("determinism")(
    Check(
        name="determinism",
        stage=Stage.ADMISSION,
        examine=examine,
        thresholds={
            "points": "images in the batch",
            "repeats": "how often it is passed again",
            "tolerance": "most that a logit may change, in gaps between the first two classes",
        },
        catches="noise, dropout or any other randomness in the forward pass",
        source="RobustBench's rule 2, Croce et al. 2021, arXiv:2010.09670",
    )
)

"""Batch invariance: an image's logits do not depend on its batch mates."""

import torch

from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import doubt, spread
from bench.evaluation.checks.gap import allowed, change
from bench.submission.schema import Flag, Level


@torch.no_grad()
def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Pass images alone, among others, in another order and in the batches of the run, and compare."""
    rows = spread(torch.arange(len(evidence.images), device=evidence.images.device), thresholds["points"])
    images = evidence.images[rows]
    together = evidence.model(images)
    alone = torch.cat([evidence.model(image[None]) for image in images])
    backwards = evidence.model(images.flip(0)).flip(0)
    worst = max(change(together, other, evidence.logits) for other in (alone, backwards, evidence.logits[rows]))
    if worst <= allowed(thresholds["tolerance"], evidence.logits):
        return []
    says = (
        f"The logits of an image depend on the images beside it: they move by {worst:.2g} of the gap between classes. "
        "A verdict would hang on the batch; use running statistics."
    )
    return [doubt("batch-invariance", Level.WITHHOLD, worst, thresholds["tolerance"], says)]


CHECKS.register("batch-invariance")(
    Check(
        name="batch-invariance",
        stage=Stage.ADMISSION,
        examine=examine,
        thresholds={
            "points": "images compared",
            "tolerance": "most that a logit may change, in gaps between the first two classes",
        },
        catches="batch norm on batch statistics and everything else that mixes images",
        source="Carlini et al. 2019, arXiv:1902.06705",
    )
)

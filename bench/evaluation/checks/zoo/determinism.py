"""Determinism: the same images give the same logits every time, whoever asks."""

import torch

from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import doubt, spread
from bench.evaluation.checks.gap import allowed, change
from bench.submission.schema import Flag, Level

_OTHER_KERNELS = 10
"""Times the tolerance that is allowed where gradients are asked for: libraries then compute attention otherwise."""


@torch.no_grad()
def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Pass one batch several times, once with gradients, and compare every logit with the first time's."""
    rows = spread(torch.arange(len(evidence.images), device=evidence.images.device), thresholds["points"])
    images = evidence.images[rows]
    before = evidence.model(images)
    worst = 0.0
    for _ in range(int(thresholds["repeats"])):
        worst = max(worst, change(before, evidence.model(images), evidence.logits))
    with torch.enable_grad():
        watched = change(before, evidence.model(images.clone().requires_grad_()).detach(), evidence.logits)
    if not watched <= allowed(_OTHER_KERNELS * thresholds["tolerance"], evidence.logits):
        says = (
            f"The same images give other logits when gradients are asked for: they move by {watched:.2g} of the gap "
            "between classes. Attacks would follow another network than the one that is judged."
        )
        return [doubt("determinism", Level.WITHHOLD, watched, thresholds["tolerance"], says)]
    if worst <= allowed(thresholds["tolerance"], evidence.logits):
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
        catches="noise, dropout or any other randomness in the forward pass; other answers where gradients are asked",
        source="RobustBench's rule 2, Croce et al. 2021, arXiv:2010.09670",
    )
)

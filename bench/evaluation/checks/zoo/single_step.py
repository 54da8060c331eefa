"""Single step: what one gradient step breaks, an iterative attack breaks too."""

import torch

from bench.attacks import pixels
from bench.attacks.projections import Ball, direction, safe_radius
from bench.errors import ContractError
from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import GRADED, concluding, graded, spread
from bench.evaluation.checks.probe import keep, standing
from bench.evaluation.checks.sensitivity import gradients_at
from bench.submission.schema import Flag
from bench.tensors import Images
from bench.threats import Norm, ThreatModel


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Take one step of the whole radius along each loss's gradient, from the points that still stand."""
    found: list[Flag] = []
    for threat in evidence.campaign.threats if evidence.campaign else ():
        rows = spread(standing(evidence, threat), thresholds["points"])
        if not len(rows):
            continue
        try:
            gradients = gradients_at(evidence, rows)
        except ContractError:
            continue  # the check of gradients refuses such a model
        uphill = {name: gradient if name in _RISING else -gradient for name, gradient in gradients.items()}
        broken = torch.zeros_like(rows, dtype=torch.bool)
        for gradient in uphill.values():
            broken |= keep(evidence, rows, _step(evidence.images[rows], gradient, threat), threat)
        says = concluding(
            len(evidence.labels),
            f"{threat}: a single gradient step breaks {int(broken.sum())} of {len(rows)} points that withstood every "
            "attack",
            "iterative attacks that do worse than one step are broken",
        )
        found += graded("single-step", float(broken.float().mean()), thresholds, says)
    return found


_RISING = ("cross-entropy", "DLR")
"""Losses that an attack wants to grow; the margin it wants to shrink."""


def _step(images: Images, gradient: Images, threat: ThreatModel) -> Images:
    """Return the images moved by the whole radius along the gradient; under L0, the pixels that promise most painted.

    Source: Goodfellow et al. 2015, arXiv:1412.6572.
    """
    if threat.norm is Norm.L0:
        return _painted(images, gradient, int(threat.epsilon))
    radius = safe_radius(threat)
    along = gradient.sign() if threat.norm is Norm.LINF else direction(gradient, threat.norm)
    return Ball(images, threat.norm, radius).project(images + radius * along)


def _painted(images: Images, gradient: Images, size: int) -> Images:
    """Return the images with so many pixels at the colour corner where a linear model would rise most."""
    corners = (gradient > 0).to(images.dtype)
    gain = (gradient * (corners - images)).sum(dim=1).flatten(1)
    mask = pixels.top(gain, min(size, gain.shape[1])).view(len(images), *images.shape[2:])
    return pixels.assemble(images, mask, corners)


CHECKS.register("single-step")(
    Check(
        name="single-step",
        stage=Stage.ATTACKS,
        examine=examine,
        thresholds={"points": "standing points tried per threat model", **GRADED},
        catches="iterative attacks that stop early, diverge or return the wrong iterate",
        source="Athalye et al. 2018, arXiv:1802.00420",
    )
)

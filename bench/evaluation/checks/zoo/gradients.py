"""Gradients: every image has finite input gradients, hardly any has none at all, and they are those of the answers."""

import torch
from torch import Tensor

from bench.errors import ContractError
from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import GRADED, doubt, graded, spread
from bench.evaluation.checks.sensitivity import gradients_at, kept_promise, vanishing
from bench.submission.schema import Flag, Level
from bench.tensors import Images

_LEAST = 0.5
"""Of the rise that a gradient says, what comes at least: 0.7 on 26 real networks, 0.5 with ripples on the image."""

GUESSING = 2
"""Up to this many times the accuracy of guessing, a flat network is dead rather than defended."""


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Look at the gradients of three losses; a point counts as flat if all three are exactly zero.

    A gradient that is no slope of the answers leads attacks astray: a straight-through one, which may still serve, is
    warned of, one against which the answers go is refused.

    A network that hardly does better than guessing is often flat too. It is not refused here but named collapsed.
    """
    rows = spread(torch.arange(len(evidence.images), device=evidence.images.device), thresholds["points"])
    try:
        gradients = gradients_at(evidence, rows)
    except ContractError as error:
        says = f"Attacks that follow gradients have nothing to follow: {error}"
        return [doubt("gradients", Level.WITHHOLD, 1.0, thresholds["withhold"], says)]
    unfit = [name for name, gradient in gradients.items() if not gradient.isfinite().all()]
    if unfit:
        says = f"The input gradient of the {unfit[0]} holds NaN or infinity; attacks would follow noise."
        return [doubt("gradients", Level.WITHHOLD, None, None, says)]
    flat = torch.stack(list(vanishing(gradients).values())).all(dim=0)
    share = float(flat.float().mean())
    says = (
        f"{int(flat.sum())} of {len(rows)} images have no input gradient under any loss, so attacks that follow "
        "gradients cannot move there; look for thresholds, rounding or dead layers."
    )
    found = graded("gradients", share, thresholds, says)
    guessing = evidence.correct * evidence.classes <= GUESSING * len(evidence.labels)
    if found and guessing:
        return [doubt("gradients", Level.WARN, share, thresholds["warn"], says)]
    return found or _astray(evidence, rows, gradients["margin"], thresholds["withhold"])


def _astray(evidence: Evidence, rows: Tensor, gradient: Images, bar: float) -> list[Flag]:
    kept = kept_promise(evidence, rows, gradient)
    short, against = int((kept < _LEAST).sum()), int((kept < 0).sum())
    if short <= bar * len(kept):
        return []
    level = Level.WITHHOLD if against > bar * len(kept) else Level.WARN
    figure = (against if level is Level.WITHHOLD else short) / len(kept)
    says = (
        f"On {short} of {len(kept)} images the answers hardly follow the gradient, a quarter of a "
        f"grey level along it, and on {against} they go against it; it is not the gradient of the answers, "
        "and attacks that follow it are led astray."
    )
    return [doubt("gradients", level, figure, bar, says)]


CHECKS.register("gradients")(
    Check(
        name="gradients",
        stage=Stage.ADMISSION,
        examine=examine,
        thresholds={"points": "images looked at", **GRADED},
        catches="hard thresholds, rounding, detached graphs and dead networks: no gradient to follow; false gradients",
        source="RobustBench's rule 1, Croce et al. 2021, arXiv:2010.09670; Athalye et al. 2018, arXiv:1802.00420",
    )
)

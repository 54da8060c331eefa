"""Continuity: images that hardly differ get logits that hardly differ."""

import torch
from jaxtyping import Float
from torch import Tensor

from bench.attacks.draws import Draws
from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import GRADED, graded, spread
from bench.evaluation.checks.gap import gap
from bench.submission.schema import Flag
from bench.tensors import Flags, Ids, Images, Logits

_NEARER = 4
_LEAST = 0.4
"""Of the change at a whole step, what a step that much smaller leaves where logits jump; a slope leaves a quarter."""


@torch.no_grad()
def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Move every pixel by a fraction of a grey level, on clean images and on noisy ones, and see how far logits jump.

    A jump is the largest change of a logit beside the mean of its row, in units of the median distance of the first
    two classes on clean images, so neither the scale nor an offset of the logits matters. Noise drawn anew, noise
    drawn from a hash of the image and noise that begins where an image is perturbed all jump; an attack that such a
    network withstands has lost to chance.
    """
    rows = spread(torch.arange(len(evidence.images), device=evidence.images.device), thresholds["points"])
    images, ids = evidence.images[rows], evidence.ids[rows]
    unit = gap(evidence.logits)
    noisy = _moved(images, ids, thresholds["radius"], evidence.seed, 0)
    share, where = max(
        (float(_jumps(evidence, start, ids, unit, thresholds).float().mean()), where)
        for where, start in (("clean", images), ("noisy", noisy))
    )
    says = (
        f"On {100 * share:.0f} % of {where} images the logits jump when each pixel moves by {thresholds['step']:g}, by "
        f"more than {thresholds['tolerance']:g} of the usual distance of the first two classes; noise, hashes and "
        "thresholds do so, and withstand attacks by chance: take them out."
    )
    return graded("continuity", share, thresholds, says)


def _jumps(evidence: Evidence, start: Images, ids: Ids, unit: float, thresholds: Thresholds) -> Flags:
    before = evidence.model(start)
    jumped = torch.zeros_like(ids, dtype=torch.bool)
    for turn in range(int(thresholds["draws"])):
        far, near = (
            _change(evidence.model(_moved(start, ids, step, evidence.seed, 1 + turn)), before)
            for step in (thresholds["step"], thresholds["step"] / _NEARER)
        )
        jumped |= (far > thresholds["tolerance"] * unit) & (near > far * _LEAST)
    return jumped


def _change(after: Logits, before: Logits) -> Float[Tensor, " batch"]:
    change = after - before
    return (change - change.mean(dim=1, keepdim=True)).abs().amax(dim=1)


def _moved(images: Images, ids: Ids, size: float, seed: int, turn: int) -> Images:
    signs = Draws(seed, "continuity", turn).signs(ids, 0, images[0].numel())
    return (images + size * signs.view(images.shape)).clamp(0, 1)


CHECKS.register("continuity")(
    Check(
        name="continuity",
        stage=Stage.ADMISSION,
        examine=examine,
        thresholds={
            "points": "images looked at",
            "radius": "size of the noise on the noisy ones, in every pixel",
            "step": "by which every pixel moves",
            "draws": "moves per image",
            "tolerance": "largest jump, in units of the median distance of the first two classes",
            **GRADED,
        },
        catches="noise on images or logits, also if a hash of the image seeds it or if it begins off the clean image",
        source="Athalye et al. 2018, arXiv:1802.00420, on stochastic and shattered gradients",
    )
)

"""Corner enumeration: every image that differs from the clean one in a single pixel of a corner colour."""

import torch
from jaxtyping import Int
from torch import Tensor

from bench.attacks import pixels
from bench.attacks.attack import ATTACKS, Access, Attack, Kind, Passes, Points, Round, Settings
from bench.attacks.draws import Draws
from bench.errors import ContractError
from bench.tensors import Classifier, Images
from bench.threats import Norm, ThreatModel


@torch.no_grad()
def corners(model: Classifier, points: Points, threat: ThreatModel, settings: Settings, draws: Draws) -> Images:
    """Try all corner colours of every pixel, first pixel first, until one is misclassified.

    Exact for one pixel as far as colours in {0, 1}^channels go, which on linear models is all.

    Source: the one-pixel stage of CornerSearch, Croce & Hein 2019, arXiv:1909.05040.

    Raises:
        ContractError: if an image has more corners than the protocol grants queries.
    """
    del threat, draws
    found = points.images.contiguous().clone()
    clean = found.flatten(2).clone()
    colours = 2 ** clean.shape[1]
    total = clean.shape[2] * colours
    if total > pixels.whole(settings, "queries"):
        raise ContractError(
            f"corners needs {total} queries per image of shape {tuple(found.shape[1:])}; "
            f"the protocol grants {settings['queries']}."
        )
    rows = torch.arange(len(points), device=clean.device)
    first = 0
    while first < total and len(rows):
        many = min(max(1, max(pixels.ROWS, len(points)) // len(rows)), total - first)
        trial = torch.arange(first, first + many, device=clean.device)
        images = _paint(clean[rows], trial, colours)
        labels = points.labels[rows].repeat_interleave(many)
        broken = pixels.judge(model, images.view(-1, *found.shape[1:]), labels).broken.view(len(rows), many)
        fallen = broken.any(dim=1)
        if fallen.any():
            winner = broken.float().argmax(dim=1)  # the first of the largest
            found[rows[fallen]] = images[fallen, winner[fallen]].view(-1, *found.shape[1:])
            rows = rows[~fallen]
        first += many
    return found


def _paint(clean: Tensor, trial: Int[Tensor, " trials"], colours: int) -> Tensor:
    """Return (point, trial) images; trial t sets pixel t // colours to corner t % colours."""
    images = clean[:, None].repeat(1, len(trial), 1, 1)
    paint = pixels.corners((trial % colours)[None], clean.shape[1])[0]
    images[:, torch.arange(len(trial)), :, trial // colours] = paint.T[:, None]
    return images


def _rounds(settings: Settings, threat: ThreatModel, classes: int) -> tuple[Round, ...]:
    del threat, classes
    return (Round(0, 1.0, Passes(pixels.whole(settings, "queries"), 0)),)


ATTACKS.register("corners")(
    Attack(
        "corners",
        corners,
        _rounds,
        frozenset({Norm.L0}),
        Kind.MINIMUM_NORM,
        Access.BLACK_BOX,
        {"queries": "most images per point: pixels times 2 to the number of channels"},
        "Croce & Hein 2019, arXiv:1909.05040",
    )
)

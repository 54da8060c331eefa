"""Corner beam: pixels painted in corner colours, led by the gradient and by what each pixel does on its own."""

import torch
from jaxtyping import Float
from torch import Tensor

from bench.attacks import pixels
from bench.attacks.attack import ATTACKS, Access, Attack, Kind, Passes, Points, Round, Settings
from bench.attacks.beam import Beams, Moves, Search, by_alone, lowest
from bench.attacks.draws import Draws
from bench.tensors import Classifier, Images
from bench.threats import Norm, ThreatModel


def _singles(beams: Beams, slopes: Float[Tensor, "batch channels pixels"], queries: int) -> Moves:
    """Return the pixels and corners that promise the lowest margins to first order; of one pixel several corners."""
    channels, many = beams.clean.shape[1:]
    codes = torch.arange(2**channels, device=slopes.device)
    colours = pixels.corners(codes[None], channels)[0]
    change = torch.einsum("ck,bcn->bkn", colours, slopes) - (slopes * beams.clean).sum(dim=1, keepdim=True)
    same = pixels.corner_codes(beams.clean)[:, None] == codes[:, None]
    best = lowest(change.masked_fill(same, torch.inf).flatten(1), min(queries, len(codes) * many))
    return Moves((best % many)[:, None], (best // many)[:, None])


def _by_slope(beams: Beams, slopes: Float[Tensor, "batch beams channels pixels"], branch: int) -> Moves:
    """Return, for each beam, the pixels whose best corner promises the lowest margin to first order."""
    corner = (slopes < 0).to(slopes.dtype)
    change = (slopes * (corner - beams.images)).sum(dim=2)
    same = (corner == beams.images).all(dim=2)
    where = lowest(change.masked_fill(same | beams.painted, torch.inf), branch)
    codes = pixels.corner_codes(corner.flatten(0, 1)).view(change.shape)
    return Moves(where, codes.gather(2, where))


@torch.no_grad()
def corner_beam(model: Classifier, points: Points, threat: ThreatModel, settings: Settings, draws: Draws) -> Images:
    """Paint one pixel more on the best few images at a time; nothing is drawn.

    Each step tries, for each image, the pixels that promise the largest drop of the margin to first order, and as many
    of those that lowered it most on their own. A point leaves at its first misclassified image, or once only a number
    of pixels that is known to do is left.

    Source: corners as in Croce & Hein 2019, arXiv:1909.05040; first-order saliency as in Papernot et al. 2016,
    arXiv:1511.07528.
    Differs from the sources: whole pixels; sets of pixels grow in a beam, kept by forward passes.
    """
    del threat, draws
    search, width = Search(model, points), pixels.whole(settings, "beams")
    half = pixels.whole(settings, "branch", least=2) // 2

    def lead(beams: Beams) -> Moves:
        first = _by_slope(beams, search.slopes(beams), half)
        return first.joined(by_alone(beams, half, first))

    for part in search.parts(width):
        beams = search.alone(part, _singles(part, search.slopes(part)[:, 0], pixels.whole(settings, "first")))
        search.climb(beams, pixels.whole(settings, "pixels"), width, lead)
    return search.found


def _rounds(settings: Settings, threat: ThreatModel, classes: int) -> tuple[Round, ...]:
    del threat, classes
    most, first, beams, branch = (pixels.whole(settings, name) for name in ("pixels", "first", "beams", "branch"))
    more = (most - 1) * beams
    return (Round(0, 1.0, Passes(1 + first + more * (1 + branch), 1 + more)),)


def _reach(settings: Settings) -> float:
    """Return the largest number of pixels that is painted."""
    return float(pixels.whole(settings, "pixels"))


ATTACKS.register("corner-beam")(
    Attack(
        "corner-beam",
        corner_beam,
        _rounds,
        frozenset({Norm.L0}),
        Kind.MINIMUM_NORM,
        Access.WHITE_BOX,
        {
            "pixels": "pixels that are painted at most",
            "first": "forward passes about single pixels",
            "beams": "images that are kept of each point",
            "branch": "forward passes for each of them and each further pixel, half of them led by the gradient",
        },
        "Croce & Hein 2019, arXiv:1909.05040; Papernot et al. 2016, arXiv:1511.07528",
        looks_up_to=_reach,
    )
)

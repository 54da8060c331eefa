"""Corner search: pixels painted in corner colours by queries alone, in the order of what each does on its own."""

import torch

from bench.attacks import pixels
from bench.attacks.attack import ATTACKS, Access, Attack, Kind, Limit, Passes, Points, Round, Settings
from bench.attacks.beam import Beams, Moves, Search, by_alone, lowest
from bench.attacks.draws import Draws
from bench.tensors import Classifier, Images
from bench.threats import Norm, ThreatModel


def _farthest(beams: Beams, queries: int, draws: Draws) -> Moves:
    """Return every pixel with the corner farthest from its colour; of more pixels than queries some are drawn."""
    many = beams.clean.shape[2]
    if many <= queries:
        where = torch.arange(many, device=beams.rows.device).expand(len(beams.rows), -1)
    else:
        where = draws.permutation(beams.ids, 0, many)[:, :queries]
    return Moves(where[:, None], beams.corners.gather(1, where)[:, None])


def _others(beams: Beams, queries: int) -> Moves:
    """Return the other corners of the pixels that did most."""
    many, colours = beams.clean.shape[2], 2 ** beams.clean.shape[1]
    where = lowest(beams.alone, min(many, queries // (colours - 1)))
    turns = torch.arange(1, colours, device=where.device)
    codes = beams.corners.gather(1, where)[..., None] ^ turns
    return Moves(where[..., None].expand(codes.shape).flatten(1)[:, None], codes.flatten(1)[:, None])


@torch.no_grad()
def corner_search(model: Classifier, points: Points, threat: ThreatModel, settings: Settings, draws: Draws) -> Images:
    """Ask what each pixel does alone, then paint one pixel more on the best few images at a time.

    A point leaves at its first misclassified image, or once only a number of pixels that is known to do is left.
    Exact for one pixel, as far as corners go, where the queries reach for every corner.

    Source: CornerSearch, Croce & Hein 2019, arXiv:1909.05040.
    Differs from the source: all corners are asked only of the pixels whose farthest corner did most; sets of pixels
    grow in a beam instead of being drawn.
    """
    del threat
    search, width = Search(model, points), pixels.whole(settings, "beams")
    branch = pixels.whole(settings, "branch")
    for part in search.parts(width):
        tried = search.alone(part, _farthest(part, pixels.whole(settings, "first"), draws))
        beams = search.alone(tried, _others(tried, pixels.whole(settings, "others")))
        search.climb(beams, pixels.whole(settings, "pixels"), width, lambda beams: by_alone(beams, branch))
    return search.found


def _rounds(settings: Settings, threat: ThreatModel, classes: int) -> tuple[Round, ...]:
    del threat, classes
    most, first, others, beams, branch = (
        pixels.whole(settings, name) for name in ("pixels", "first", "others", "beams", "branch")
    )
    return (Round(0, 1.0, Passes(first + others + (most - 1) * beams * branch, 0)),)


def _limit(settings: Settings, shape: tuple[int, int, int]) -> Limit | None:
    """Tell how few of an image's pixels are asked about."""
    queries, there = pixels.whole(settings, "first"), shape[1] * shape[2]
    return (
        None if queries >= there else Limit(f"corner-search asks about {queries:,} of the {there:,} pixels of an image")
    )


def _reach(settings: Settings) -> float:
    """Return the largest number of pixels that is painted."""
    return float(pixels.whole(settings, "pixels"))


def _within(settings: Settings, radius: float) -> Settings | None:
    most = min(pixels.whole(settings, "pixels"), int(radius))
    return {**settings, "pixels": most} if most else None


ATTACKS.register("corner-search")(
    Attack(
        "corner-search",
        corner_search,
        _rounds,
        frozenset({Norm.L0}),
        Kind.MINIMUM_NORM,
        Access.BLACK_BOX,
        {
            "pixels": "pixels that are painted at most",
            "first": "queries about single pixels in the corner farthest from their colour",
            "others": "queries about the other corners of the best of these pixels",
            "beams": "images that are kept of each point",
            "branch": "queries for each of them and each further pixel",
        },
        "Croce & Hein 2019, arXiv:1909.05040",
        limit=_limit,
        looks_up_to=_reach,
        within=_within,
    )
)

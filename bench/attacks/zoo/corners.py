"""Corner enumeration: every image that differs in one pixel of a corner colour, then the best of them in pairs."""

import itertools
import math
from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from bench.attacks import pixels
from bench.attacks.attack import ATTACKS, Access, Attack, Kind, Limit, Passes, Points, Round, Settings
from bench.attacks.draws import Draws
from bench.errors import ContractError
from bench.tensors import Classifier, Flags, Images
from bench.threats import Norm, ThreatModel


class _Trials:
    """Asks the model about painted images, as many at a time as keep a batch full.

    Attributes:
        rows: the points that still stand.
        found: the misclassified images, clean where there is none.
    """

    def __init__(self, model: Classifier, points: Points) -> None:
        self._model, self._points = model, points
        self.found = points.images.contiguous().clone()
        self._clean = self.found.flatten(2).clone()
        self.colours = 2 ** self._clean.shape[1]
        self.total = self._clean.shape[2] * self.colours
        self.rows = torch.arange(len(points), device=self._clean.device)

    def keep(self, which: Flags) -> None:
        """Drop the other points."""
        self.rows = self.rows[which]

    def stretches(self, trials: int) -> Iterator[slice]:
        """Yield stretches of ``range(trials)`` until no point stands."""
        first = 0
        while first < trials and len(self.rows):
            many = max(1, max(pixels.ROWS, len(self._points)) // len(self.rows))
            yield slice(first, min(first + many, trials))
            first += many

    def ask(self, corners: Int[Tensor, "batch trials size"]) -> Float[Tensor, "batch trials"]:
        """Return the margins of images with these corners painted, and let go of the points that fall.

        Corner n is colour n mod 2**channels of pixel n // 2**channels. Of several images the first is kept.
        """
        count = len(self.rows), corners.shape[1]
        images = self._clean[self.rows].repeat_interleave(count[1], dim=0)
        for one in corners.flatten(0, 1).T:
            paint = pixels.corners((one % self.colours)[:, None], images.shape[1])
            place = (one // self.colours)[:, None, None].expand(-1, images.shape[1], -1)
            images.scatter_(2, place, paint)
        labels = self._points.labels[self.rows].repeat_interleave(count[1])
        verdict = pixels.judge(self._model, images.view(-1, *self.found.shape[1:]), labels)
        broken = verdict.broken.view(count)
        fallen = broken.any(dim=1)
        first = broken.float().argmax(dim=1)  # the first of the largest
        winners = images.view(*count, *self.found.shape[1:])[fallen, first[fallen]]
        self.found[self.rows[fallen]] = winners
        self.keep(~fallen)
        return verdict.margins.view(count)


@torch.no_grad()
def corners(model: Classifier, points: Points, threat: ThreatModel, settings: Settings, draws: Draws) -> Images:
    """Try all corner colours of every pixel, then pairs of those that left the lowest margins, best pairs first.

    Exact for one pixel as far as colours in {0, 1}^channels go, which on linear models is all; exact for two pixels
    where the queries reach for every pair.

    Source: CornerSearch, Croce & Hein 2019, arXiv:1909.05040.
    Differs from the source: pairs in a fixed order instead of random sets, no more than two pixels.

    Raises:
        ContractError: if an image has more corners than the protocol grants queries.
    """
    del threat, draws
    trials, queries = _Trials(model, points), pixels.whole(settings, "queries")
    if trials.total > queries:
        raise ContractError(
            f"corners needs {trials.total} queries per image of shape {tuple(points.images.shape[1:])}; "
            f"the protocol grants {queries}."
        )
    every = torch.arange(trials.total, device=points.images.device)
    margins = points.images.new_empty(len(points), trials.total)
    for part in trials.stretches(trials.total):
        asked = trials.rows
        margins[asked, part] = trials.ask(every[None, part, None].expand(len(asked), -1, -1))
    trials.keep(points.distance[trials.rows] > 2)
    pairs = every.new_tensor(_pairs(queries - trials.total, trials.total)).view(-1, 2)
    best = margins.argsort(dim=1, stable=True)
    for part in trials.stretches(len(pairs)):
        trials.ask(best[trials.rows][:, pairs[part]])
    return trials.found


def _pairs(wanted: int, ranks: int) -> list[tuple[int, int]]:
    """Return that many pairs of different ranks below ``ranks``, or all there are, smallest sum first."""
    reach = min(ranks, 2 * math.isqrt(wanted) + 4)  # about s² / 4 pairs have a sum of at most s
    return sorted(itertools.combinations(range(reach), 2), key=sum)[:wanted]


def _rounds(settings: Settings, threat: ThreatModel, classes: int) -> tuple[Round, ...]:
    del threat, classes
    return (Round(0, 1.0, Passes(pixels.whole(settings, "queries"), 0)),)


def _reach(settings: Settings) -> float:
    """Return two pixels: pairs are for points that nothing so small has broken."""
    del settings
    return 2.0


def _limit(settings: Settings, shape: tuple[int, int, int]) -> Limit | None:
    channels, height, width = shape
    asked, granted = 2**channels * height * width, pixels.whole(settings, "queries")
    if asked <= granted:
        return None
    return Limit(
        f"corners asks {asked:,} images per point of {channels}×{height}×{width}, granted {granted:,}", fatal=True
    )


ATTACKS.register("corners")(
    Attack(
        "corners",
        corners,
        _rounds,
        frozenset({Norm.L0}),
        Kind.MINIMUM_NORM,
        Access.BLACK_BOX,
        {"queries": "images per point: pixels times 2 to the number of channels, and what is to go into pairs"},
        "Croce & Hein 2019, arXiv:1909.05040",
        limit=_limit,
        looks_up_to=_reach,
    )
)

"""What the corner attacks share: images with one painted pixel more at a time, of which the best few are kept.

A *corner* is a colour of {0, 1}^channels; painting gives a pixel such a colour. How much each pixel lowers the margin
of the clean image on its own says what is tried first; the margins of the images that are tried say what is kept.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from bench.attacks import pixels
from bench.attacks.attack import Points
from bench.tensors import Classifier, Distances, Flags, Ids, Labels, portion

_NAMES = 0x5851F42D4C957F2D
"""Spreads numbers of pixels over 64 bits, so that sums of them tell sets of pixels apart."""


@dataclass(frozen=True, slots=True)
class Beams:
    """The points that are still searched, each with images in which equally many pixels are painted.

    Attributes:
        rows: where the points sit among those of the attack.
        distance: smallest number of pixels that is known to do.
        clean: the images of the points, their pixels in one dimension.
        alone: lowest margin that painting each pixel of the clean image left; infinity where none was asked for.
        corners: the codes of the corners that did, or of the corners farthest from the clean colours.
        images: of the beams.
        painted: which pixels are.
        sets: what tells sets of painted pixels apart.
    """

    rows: Int[Tensor, " batch"]
    ids: Ids
    labels: Labels
    distance: Distances
    clean: Float[Tensor, "batch channels pixels"]
    alone: Float[Tensor, "batch pixels"]
    corners: Int[Tensor, "batch pixels"]
    images: Float[Tensor, "batch beams channels pixels"]
    painted: Bool[Tensor, "batch beams pixels"]
    sets: Int[Tensor, "batch beams"]


class Moves(NamedTuple):
    """One pixel more for each beam, and the code of its corner."""

    where: Int[Tensor, "batch beams branch"]
    codes: Int[Tensor, "batch beams branch"]

    def joined(self, other: "Moves") -> "Moves":
        """Return the branches of both."""
        return Moves(torch.cat([self.where, other.where], dim=2), torch.cat([self.codes, other.codes], dim=2))

    def paint(self, beams: Beams, trials: Int[Tensor, " trials"]) -> Float[Tensor, "trials channels pixels"]:
        """Return the images of some moves, counted through points, beams and branches."""
        images = beams.images.flatten(0, 1)[trials // self.where.shape[2]]
        place = self.where.flatten()[trials][:, None, None].expand(-1, images.shape[1], 1)
        return images.scatter(2, place, pixels.corners(self.codes.flatten()[trials][:, None], images.shape[1]))


class Search:
    """A network, the points of an attack, and what was found for them.

    Attributes:
        found: one image for every point, the clean one where no misclassified one is known.
    """

    def __init__(self, model: Classifier, points: Points) -> None:
        self._model, self._points = model, points
        self._rows = portion(points.images, max(pixels.ROWS, len(points)))  # images that one pass takes
        self.found = points.images.contiguous().clone()

    def parts(self, width: int) -> Iterator[Beams]:
        """Yield as many points at a time as fill a pass with ``width`` images each, with no beams but the images."""
        every = torch.arange(len(self._points), device=self.found.device)
        for rows in every.split(max(1, self._rows // width)) if len(every) else ():
            clean = self.found[rows].flatten(2)
            yield Beams(
                rows,
                self._points.ids[rows],
                self._points.labels[rows],
                self._points.distance[rows],
                clean,
                torch.full_like(clean[:, 0], torch.inf),
                pixels.corner_codes((clean < 0.5).to(clean.dtype)),
                clean[:, None],
                torch.zeros_like(clean[:, :1], dtype=torch.bool),
                torch.zeros_like(rows)[:, None],
            )

    def slopes(self, beams: Beams) -> Float[Tensor, "batch beams channels pixels"]:
        """Return the gradients of the margins of the beams."""
        images, found = beams.images.flatten(0, 1), []
        labels = beams.labels.repeat_interleave(beams.images.shape[1])
        for part, own in zip(images.split(self._rows), labels.split(self._rows), strict=True):
            with torch.enable_grad():
                asked = part.view(-1, *self.found.shape[1:]).detach().requires_grad_()
                margins = pixels.judge(self._model, asked, own).margins
                found.append(torch.autograd.grad(margins.sum(), asked)[0])
        return torch.cat(found).view(beams.images.shape)

    def alone(self, beams: Beams, moves: Moves) -> Beams:
        """Paint single pixels of clean images; return the points that still stand, with what that did."""
        margins, fallen = self._ask(beams, moves)
        where, codes, channels = moves.where[:, 0], moves.codes[:, 0], beams.clean.shape[1]
        before = pixels.corner_codes(beams.clean).gather(1, where)
        margins = margins.masked_fill(codes == before, torch.inf)  # painted in its own colour
        alone = beams.alone.scatter_reduce(1, where, margins, "amin")
        wins = (margins == alone.gather(1, where)) & (margins < beams.alone.gather(1, where))
        none = torch.full_like(beams.corners, 2**channels)
        best = none.scatter_reduce(1, where, torch.where(wins, codes, 2**channels), "amin")
        corners = torch.where(best < 2**channels, best, beams.corners)
        return pixels.select(replace(beams, alone=alone, corners=corners), ~fallen)

    def climb(self, beams: Beams, pixels_at_most: int, width: int, lead: Callable[[Beams], Moves]) -> None:
        """Paint the best single pixels, then one pixel more at a time, until points fall or cannot gain any more.

        Args:
            beams: points whose single pixels were tried.
            pixels_at_most: how many are painted.
            width: images that are kept of each point.
            lead: says what is tried next.
        """
        many = beams.clean.shape[2]
        where = lowest(beams.alone, min(width, many))[:, None]
        moves = Moves(where, beams.corners[:, None].gather(2, where))
        beams = _keep(beams, moves, beams.alone.gather(1, where[:, 0]), width)
        for size in range(2, min(pixels_at_most, many) + 1):
            beams = pixels.select(beams, beams.distance > size)
            if not len(beams.rows):
                return
            moves = lead(beams)
            margins, fallen = self._ask(beams, moves)
            beams = pixels.select(_keep(beams, moves, margins, width), ~fallen)

    def _ask(self, beams: Beams, moves: Moves) -> tuple[Float[Tensor, "batch trials"], Flags]:
        """Return the margins of all moves, and which points fell to one of them; the best such image is kept."""
        count, each, shape = len(beams.rows), moves.where.shape[1] * moves.where.shape[2], self.found.shape[1:]
        told = [
            pixels.judge(self._model, moves.paint(beams, part).view(-1, *shape), beams.labels[part // each])
            for part in torch.arange(count * each, device=moves.where.device).split(self._rows)
        ]
        margins = torch.cat([verdict.margins for verdict in told]).view(count, each)
        broken = torch.cat([verdict.broken for verdict in told]).view(count, each)
        fallen = broken.any(dim=1)
        if fallen.any():
            best = margins.masked_fill(~broken, torch.inf).argmin(dim=1)
            trials = best + torch.arange(len(best), device=best.device) * each
            self.found[beams.rows[fallen]] = moves.paint(beams, trials[fallen]).view(-1, *shape)
        return margins, fallen


def _keep(beams: Beams, moves: Moves, margins: Float[Tensor, "batch trials"], width: int) -> Beams:
    """Return the images with the lowest margins as beams, each set of pixels once as far as there are enough sets."""
    order = margins.argsort(dim=1, stable=True)
    sets = (beams.sets[:, :, None] + (moves.where + 1) * (moves.where + 1) * _NAMES).flatten(1).gather(1, order)
    known = (sets[:, :, None] == sets[:, None, :]).tril(-1).any(dim=2)
    best = known.to(torch.int8).argsort(dim=1, stable=True)[:, :width]
    trials = order.gather(1, best)
    before = trials // moves.where.shape[2]
    counted = trials + torch.arange(len(trials), device=trials.device)[:, None] * margins.shape[1]
    images = moves.paint(beams, counted.flatten()).view(*trials.shape, *beams.images.shape[2:])
    painted = beams.painted.gather(1, before[..., None].expand(-1, -1, beams.painted.shape[2]))
    painted.scatter_(2, moves.where.flatten(1).gather(1, trials)[..., None], value=True)
    return replace(beams, images=images, painted=painted, sets=sets.gather(1, best))


def lowest(scores: Float[Tensor, "... pixels"], many: int) -> Int[Tensor, "... many"]:
    """Return the places of the lowest scores in order; ties keep the earlier pixel."""
    return scores.argsort(dim=-1, stable=True)[..., :many]


def by_alone(beams: Beams, branch: int, tried: Moves | None = None) -> Moves:
    """Return, for each beam, the pixels that did most alone, other than those painted and tried already."""
    scores = beams.alone[:, None].expand(beams.painted.shape).masked_fill(beams.painted, torch.inf)
    if tried is not None:
        scores = scores.scatter(2, tried.where, torch.inf)
    where = lowest(scores, branch)
    return Moves(where, beams.corners[:, None].expand(scores.shape).gather(2, where))

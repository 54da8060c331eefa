"""Sparse-RS: random search over which pixels to change, with colours from the corners of the box."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from bench.attacks import pixels
from bench.attacks.attack import ATTACKS, Access, Attack, Kind, Limit, Passes, Points, Round, Settings, grid_within
from bench.attacks.draws import Draws
from bench.tensors import Classifier, Flags, Images
from bench.threats import Norm, ThreatModel

_CHUNK = 32
"""Steps whose random numbers are drawn at once; part of the draws' keys."""

_RUNG = 1 << 32
"""Distance between the draw steps of two rungs."""

_SHRINK = ((0, 1), (50, 2), (200, 4), (500, 5), (1000, 6), (2000, 8), (4000, 10), (6000, 12), (8000, 15))
"""Up to this ten-thousandth of the queries, a move replaces the share alpha_init / divisor of the chosen pixels."""

_SHRUNK = 20
"""The divisor after the last of them."""


class _Moves(NamedTuple):
    """The random numbers of consecutive steps."""

    leaving: Int[Tensor, "batch steps moves"]
    entering: Int[Tensor, "batch steps moves"]
    colours: Int[Tensor, "batch steps moves"]

    def of(self, rows: Tensor) -> "_Moves":
        return _Moves(self.leaving[rows], self.entering[rows], self.colours[rows])


@dataclass(slots=True)
class _Search:
    """The points that a search still works on.

    Attributes:
        rows: where they sit among the points of the attack.
        flat: working images; pixels outside the chosen slots are clean.
        codes: which colour corner each clean pixel is.
        slots: an order of all pixels per point; the first k are the changed ones.
    """

    points: Points
    loss: str
    found: Images
    rows: Int[Tensor, " batch"]
    clean: Float[Tensor, "batch channels pixels"]
    flat: Float[Tensor, "batch channels pixels"]
    codes: Int[Tensor, "batch pixels"]
    slots: Int[Tensor, "batch pixels"]
    best: Float[Tensor, " batch"]

    @classmethod
    def start(cls, points: Points, draws: Draws, loss: str) -> "_Search":
        images = points.images.contiguous()
        flat = images.flatten(2)
        rows = torch.arange(len(points), device=flat.device)
        slots = draws.permutation(points.ids, 0, flat.shape[2])
        best = torch.full((len(points),), torch.inf, device=flat.device)
        return cls(points, loss, images.clone(), rows, flat, flat.clone(), pixels.corner_codes(flat), slots, best)

    def keep(self, which: Flags) -> None:
        """Drop the other points."""
        for name in ("rows", "clean", "flat", "codes", "slots", "best"):
            setattr(self, name, getattr(self, name)[which])

    def colour(self, bits: Int[Tensor, "batch moves"], where: Int[Tensor, "batch moves"]) -> Float[Tensor, "b c m"]:
        """Return corner colours that differ from the clean ones, so that no query is spent on an unchanged pixel."""
        channels = self.flat.shape[1]
        code = self.codes.gather(1, where)
        pick = bits % (2**channels - (code < 2**channels).long())
        return pixels.corners(pick + (pick >= code).long(), channels)

    def query(self, model: Classifier) -> tuple[Float[Tensor, " batch"], Flags]:
        """Return the loss to minimise and which working images are misclassified."""
        labels = self.points.labels[self.rows]
        verdict = pixels.judge(model, self.flat.view(-1, *self.points.images.shape[1:]), labels)
        if self.loss == "margin":
            return verdict.margins, verdict.broken
        return verdict.logits.log_softmax(dim=1).gather(1, labels[:, None])[:, 0], verdict.broken

    def leave(self, broken: Flags) -> None:
        """Store the misclassified images and drop their points."""
        self.found[self.rows[broken]] = self.flat[broken].view(-1, *self.found.shape[1:])
        self.keep(~broken)


def _schedule(queries: int, size: int, alpha_init: float) -> Iterator[tuple[int, int, int]]:
    """Yield (first query, queries, pixels to move) for stretches of at most ``_CHUNK`` queries."""

    def moves(query: int) -> int:
        moment = query * 10_000 // queries
        divisor = next((divisor for last, divisor in _SHRINK if moment <= last), _SHRUNK)
        return max(1, int(alpha_init / divisor * size))

    for count, stretch in itertools.groupby(range(1, queries), key=moves):
        steps = list(stretch)
        for first in range(steps[0], steps[-1] + 1, _CHUNK):
            yield first, min(_CHUNK, steps[-1] + 1 - first), count


def _distinct(bits: Int[Tensor, "batch steps moves"], size: int) -> Int[Tensor, "batch steps moves"]:
    """Return distinct numbers below ``size`` (Floyd's sampling, Bentley & Floyd 1987, doi:10.1145/30401.315746)."""
    chosen = torch.empty_like(bits)
    for place in range(bits.shape[2]):
        last = size - bits.shape[2] + place
        pick = bits[..., place] % (last + 1)
        taken = (chosen[..., :place] == pick[..., None]).any(dim=-1)
        chosen[..., place] = torch.where(taken, last, pick)
    return chosen


def _draw(search: _Search, draws: Draws, step: int, steps: int, count: int, size: int) -> _Moves:
    outside = search.flat.shape[2] - size
    count = min(count, size, outside) if outside else min(count, size)
    bits = draws.bits(search.points.ids[search.rows], step, steps * 3 * count) & torch.iinfo(torch.int64).max
    leaving, entering, colours = bits.view(-1, steps, 3, count).unbind(dim=2)
    return _Moves(_distinct(leaving, size), _distinct(entering, outside) if outside else entering, colours)


def _move(search: _Search, model: Classifier, size: int, moves: _Moves, step: int) -> Flags:
    """Try one move on every point, take back those that gain nothing, and tell which images are misclassified."""
    slots, bits = moves.leaving[:, step], moves.colours[:, step]
    where = search.slots.gather(1, slots)
    if size == search.slots.shape[1]:  # every pixel is chosen already: recolour in place
        new = search.colour(bits, where)
        swapped = where
    else:
        slots = torch.cat([slots, size + moves.entering[:, step]], dim=1)
        where = search.slots.gather(1, slots)
        leaving, entering = where.chunk(2, dim=1)
        clean = search.clean.gather(2, _every(leaving, search))
        new = torch.cat([clean, search.colour(bits, entering)], dim=2)
        swapped = torch.cat([entering, leaving], dim=1)
    place = _every(where, search)
    old = search.flat.gather(2, place)
    search.flat.scatter_(2, place, new)
    loss, broken = search.query(model)
    accept = (loss < search.best) | broken
    search.flat.scatter_(2, place, torch.where(accept[:, None, None], new, old))
    search.slots.scatter_(1, slots, torch.where(accept[:, None], swapped, where))
    search.best = torch.where(accept, loss, search.best)
    return broken


def _every(where: Int[Tensor, "batch moves"], search: _Search) -> Int[Tensor, "batch channels moves"]:
    return where[:, None].expand(-1, search.flat.shape[1], -1)


def _rung(search: _Search, model: Classifier, draws: Draws, step: int, sizes: tuple[int, int], rule: Settings) -> None:
    """Search with ``sizes[1]`` pixels, of which the first ``sizes[0]`` keep their colours."""
    held, size = sizes
    fresh = search.slots[:, held:size]
    bits = draws.bits(search.points.ids[search.rows], step, size - held) & torch.iinfo(torch.int64).max
    search.flat.scatter_(2, _every(fresh, search), search.colour(bits, fresh))
    search.best, broken = search.query(model)
    search.leave(broken)
    for first, steps, count in _schedule(pixels.whole(rule, "queries"), size, pixels.number(rule, "alpha_init")):
        if not len(search.rows):
            return
        moves = _draw(search, draws, step + first, steps, count, size)
        for turn in range(steps):
            broken = _move(search, model, size, moves, turn)
            if broken.any():
                moves = moves.of(~broken)
                search.leave(broken)


@torch.no_grad()
def _climb(
    model: Classifier, points: Points, draws: Draws, rule: Settings, rungs: tuple[int, ...], loss: str
) -> Images:
    search = _Search.start(points, draws, loss)
    held = 0
    for index, rung in enumerate(rungs):
        search.keep(points.distance[search.rows] > rung)
        if not len(search.rows):
            break
        size = min(rung, search.slots.shape[1])
        _rung(search, model, draws, (index + 1) * _RUNG, (held, size), rule)
        held = size
    return search.found


def ladder(model: Classifier, points: Points, threat: ThreatModel, settings: Settings, draws: Draws) -> Images:
    """Search with each number of pixels of the grid in turn, each rung starting from the last one's best image.

    A point leaves at its first misclassified image. A rung takes part only where it would beat the known distance.

    Source: Croce et al. 2022, arXiv:2006.12834, algorithms 1 and 2, margin loss.
    Differs from the source: the ladder; draws per point; a drawn colour never equals the clean one.
    """
    del threat
    return _climb(model, points, draws, settings, pixels.grid(settings), "margin")


def restart(model: Classifier, points: Points, threat: ThreatModel, settings: Settings, draws: Draws) -> Images:
    """Search afresh with one number of pixels per round, on the cross-entropy.

    A second seed and another loss for the points that outlived the ladder. With one number of pixels, alpha_init 0.8
    and 10,000 queries it is the last stage of Sparse-AutoAttack.

    Source: Croce et al. 2022, arXiv:2006.12834; Zhong et al. 2024, arXiv:2405.05075 (loss and alpha_init).
    """
    del threat
    return _climb(model, points, draws, settings, (pixels.grid(settings)[draws.round],), "cross-entropy")


def _ladder_rounds(settings: Settings, threat: ThreatModel, classes: int) -> tuple[Round, ...]:
    del threat, classes
    rungs = pixels.grid(settings)
    return (Round(0, float(rungs[0]), Passes(pixels.whole(settings, "queries") * len(rungs), 0)),)


def _restart_rounds(settings: Settings, threat: ThreatModel, classes: int) -> tuple[Round, ...]:
    del threat, classes
    passes = Passes(pixels.whole(settings, "queries"), 0)
    return tuple(Round(index, float(rung), passes) for index, rung in enumerate(pixels.grid(settings)))


def _reach(settings: Settings) -> float:
    """Return the largest number of pixels that is tried."""
    return float(pixels.grid(settings)[-1])


def _limit(settings: Settings, shape: tuple[int, int, int]) -> Limit | None:
    """Tell how few of an image's pixels the largest number of pixels, which tries the most, can try at all."""
    queries, there = pixels.whole(settings, "queries"), shape[1] * shape[2]
    size = min(pixels.grid(settings)[-1], there)
    schedule = _schedule(queries, size, pixels.number(settings, "alpha_init"))
    tried = size + sum(steps * count for _, steps, count in schedule)
    if tried >= there:
        return None
    return Limit(f"{queries:,} queries try at most {tried:,} of the {there:,} pixels of an image")


_SETTINGS = {
    "queries": "forward passes per number of pixels",
    "grid": "numbers of pixels to try, rising",
    "alpha_init": "share of the chosen pixels that the first move replaces",
}

ATTACKS.register("sparse-rs")(
    Attack(
        "sparse-rs",
        ladder,
        _ladder_rounds,
        frozenset({Norm.L0}),
        Kind.MINIMUM_NORM,
        Access.BLACK_BOX,
        _SETTINGS,
        "Croce et al. 2022, arXiv:2006.12834",
        limit=_limit,
        looks_up_to=_reach,
        within=grid_within,
    )
)

ATTACKS.register("sparse-rs-ce")(
    Attack(
        "sparse-rs-ce",
        restart,
        _restart_rounds,
        frozenset({Norm.L0}),
        Kind.MINIMUM_NORM,
        Access.BLACK_BOX,
        _SETTINGS,
        "Croce et al. 2022, arXiv:2006.12834",
        limit=_limit,
        looks_up_to=_reach,
        within=grid_within,
    )
)

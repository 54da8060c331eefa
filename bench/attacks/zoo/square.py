"""Square: random search over square windows, with forward passes alone.

Source:
    Andriushchenko et al. 2020, arXiv:1912.00049, with the margin loss and the rescaled schedule of AutoAttack.

Differs from the source:
    Every point draws its own windows, signs and orientations (AutoAttack draws one window for the whole batch), and a
    window may touch the right and the lower border, as the paper says. A query writes only its window.
"""

from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from bench.attacks.attack import ATTACKS, Access, Attack, Kind, Passes, Points, Round, Settings
from bench.attacks.draws import Draws
from bench.attacks.losses import margin
from bench.attacks.pixels import number, whole
from bench.attacks.projections import safe_radius
from bench.attacks.standing import Compaction, select
from bench.tensors import Classifier, Flags, Images
from bench.threats import Norm, ThreatModel

HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # queries after which p halves, of 10,000
_SCHEDULED = 10_000
_BLOCK = 32  # queries whose random numbers are drawn together
_AHEAD = 1_000_000  # numbers in windows that are laid out together
_TINY = 1e-12  # pixel units

_Rows = Float[Tensor, "batch numbers"]
"""Images as rows of numbers: channel by channel, each row by row."""
_Drawn = Float[Tensor, "batch lanes"]
"""Random numbers in [0, 1)."""
_Window = Int[Tensor, "batch window"]
"""Which numbers of its image lie in a point's window."""


class _Search(NamedTuple):
    """Everything known about the rows still at work, one entry per row."""

    row: Tensor
    ids: Tensor
    labels: Tensor
    originals: Tensor
    current: Tensor
    margin: Tensor
    fallen: Tensor


class _Ready(NamedTuple):
    """Windows of one size and their signs, for the queries before ``last``."""

    side: int
    last: int
    window: Tensor
    signs: Tensor

    def at(self, query: int) -> tuple[Tensor, Tensor]:
        """Return the window and the signs of every point for one of these queries."""
        place = query - self.last
        return self.window[:, place], self.signs[:, place]


class _Shape(NamedTuple):
    """The shape of one image."""

    channels: int
    height: int
    width: int


def propose(model: Classifier, points: Points, threat: ThreatModel, settings: Settings, draws: Draws) -> Images:
    """Return the first misclassified image met, or the clean image."""
    queries, p_init = whole(settings, "queries"), number(settings, "p_init")
    shape = _Shape(*points.images.shape[1:])
    result = points.images.clone()
    if not len(points):
        return result
    with torch.no_grad():
        search = _begin(model, points, shape, threat, draws)
        compaction = Compaction(search.fallen)
        drawn, ready = torch.empty(0), _Ready(0, 0, *torch.empty(2, 0))
        for query in range(queries):
            if compaction.due(search.fallen, query):
                result[search.row[search.fallen]] = _images(search.current[search.fallen], shape)
                standing = ~search.fallen
                search, drawn = select(search, standing), drawn[standing] if query % _BLOCK else drawn
                ready = ready._replace(last=query)
                if not len(search.row):
                    return result
            if query % _BLOCK == 0:
                lanes = _lanes(shape, threat.norm)
                drawn = draws.uniform(search.ids, 1 + query // _BLOCK, _BLOCK * lanes).view(-1, _BLOCK, lanes)
            share = p_init / 2 ** sum(query * _SCHEDULED // queries > after for after in HALVINGS)
            if threat.norm is Norm.L2:
                search = _query_l2(model, search, shape, safe_radius(threat), share, drawn[:, query % _BLOCK])
                continue
            side = min(max(round((share * shape.height * shape.width) ** 0.5), 1), shape.height, shape.width)
            if query == ready.last or side != ready.side:
                ready = _lay_out(drawn, query, side, shape)
            search = _query_linf(model, search, shape, safe_radius(threat), *ready.at(query))
    result[search.row[search.fallen]] = _images(search.current[search.fallen], shape)
    return result


def _begin(model: Classifier, points: Points, shape: _Shape, threat: ThreatModel, draws: Draws) -> _Search:
    """Start from vertical stripes (Linf) or from a tiling (L2)."""
    originals = points.images.reshape(len(points), -1)
    radius = safe_radius(threat)
    if threat.norm is Norm.LINF:
        signs = draws.signs(points.ids, 0, shape.channels * shape.width)
        stripes = signs.view(-1, shape.channels, 1, shape.width).expand(-1, *shape).reshape(originals.shape)
        start = (originals + radius * stripes).clamp_(0, 1)
    else:
        start = _rescaled(originals, _tiling(draws.uniform(points.ids, 0, _tiles(shape)), shape), radius)
    logits = model(_images(start, shape))
    return _Search(
        row=torch.arange(len(points), device=originals.device),
        ids=points.ids,
        labels=points.labels,
        originals=originals,
        current=start,
        margin=margin(logits, points.labels),
        fallen=logits.argmax(dim=1) != points.labels,
    )


def _lay_out(drawn: Tensor, query: int, side: int, shape: _Shape) -> _Ready:
    """Lay out the windows of a query and of the next ones of its block, as many as memory likes."""
    place = query % _BLOCK
    many = max(1, min(_BLOCK - place, _AHEAD // (len(drawn) * shape.channels * side * side)))
    lanes = drawn[:, place : place + many].reshape(len(drawn) * many, -1)
    window, signs = _window(lanes[:, 0], lanes[:, 1], side, shape), _signs(lanes[:, 2:], side)
    return _Ready(side, query + many, *(found.view(len(drawn), many, -1) for found in (window, signs)))


def _query_linf(
    model: Classifier,
    search: _Search,
    shape: _Shape,
    radius: float,
    window: _Window,
    signs: Float[Tensor, "batch window"],
) -> _Search:
    """Try one random window per point and keep it where the margin falls."""
    old = search.current.gather(1, window)
    new = (search.originals.gather(1, window) + radius * signs).clamp_(0, 1)
    trial = search.current.scatter_(1, window, new)
    kept, search = _judge(model, search, _images(trial, shape))
    search.current.scatter_(1, window, torch.where(kept[:, None], new, old))
    return search


def _query_l2(model: Classifier, search: _Search, shape: _Shape, radius: float, share: float, drawn: _Drawn) -> _Search:
    """Try to move the perturbation of one random window into another per point; keep it where the margin falls."""
    side = max(round((share * shape.height * shape.width) ** 0.5), 3)
    side = min(side + (side % 2 == 0), shape.height, shape.width)
    trial = _moved_mass(search, shape, radius, side, drawn)
    kept, search = _judge(model, search, _images(trial, shape))
    return search._replace(current=torch.where(kept[:, None], trial, search.current))


def _judge(model: Classifier, search: _Search, images: Images) -> tuple[Flags, _Search]:
    """Tell which trials to keep, with the search knowing their margins."""
    logits = model(images)
    value = margin(logits, search.labels)
    fooled = logits.argmax(dim=1) != search.labels
    kept = ((value < search.margin) | fooled) & ~search.fallen
    return kept, search._replace(margin=torch.where(kept, value, search.margin), fallen=search.fallen | fooled)


def _moved_mass(search: _Search, shape: _Shape, radius: float, side: int, drawn: _Drawn) -> _Rows:
    """Move the perturbation of a second window into the first one, added to a fresh pattern, at full length.

    Source:
        arXiv:1912.00049, algorithm 3.
    """
    first = _window(drawn[:, 0], drawn[:, 1], side, shape)
    second = _window(drawn[:, 2], drawn[:, 3], side, shape)
    delta = search.current - search.originals
    unused = (radius**2 - delta.square().sum(dim=1)).clamp_min_(0)[:, None, None] / shape.channels
    here = delta.gather(1, first)
    here_square = _by_channel(here, shape).square().sum(dim=2, keepdim=True)
    delta.scatter_(1, first, 0)
    there_square = _by_channel(delta.gather(1, second), shape).square().sum(dim=2, keepdim=True)
    pattern = _pattern(side).to(delta)
    pattern = torch.where(drawn[:, 4, None, None] < 0.5, pattern, pattern.T).reshape(-1, 1, side * side)
    fresh = pattern * _by_channel(_signs(drawn[:, 5:], side), shape)
    fresh = fresh + _by_channel(here, shape) / (here_square.sqrt() + _TINY)
    length = (unused + here_square + there_square).sqrt()
    fresh = fresh * (length / (fresh.norm(dim=2, keepdim=True) + _TINY))
    delta.scatter_(1, second, 0).scatter_(1, first, fresh.flatten(1))
    return _rescaled(search.originals, delta, radius)


def _rescaled(originals: _Rows, delta: _Rows, radius: float) -> _Rows:
    """Bring each perturbation to the full radius, then into the box."""
    length = torch.linalg.vector_norm(delta, dim=1, keepdim=True)
    return (originals + delta * (radius / length.clamp_min(_TINY))).clamp_(0, 1)


def _window(top: Float[Tensor, " batch"], left: Float[Tensor, " batch"], side: int, shape: _Shape) -> _Window:
    """Turn two uniform numbers per point into the numbers of a window, channel by channel."""
    down = (top * (shape.height - side + 1)).long()
    across = (left * (shape.width - side + 1)).long()
    return (down * shape.width + across)[:, None] + _offsets(side, shape, top.device)


@cache
def _offsets(side: int, shape: _Shape, device: torch.device) -> Int[Tensor, " window"]:
    """Return the numbers of a window in the upper left corner, channel by channel."""
    reach = torch.arange(side, device=device)
    plane = torch.arange(shape.channels, device=device) * (shape.height * shape.width)
    return (plane[:, None, None] + reach[:, None] * shape.width + reach).flatten()


def _signs(drawn: Float[Tensor, "batch channels"], side: int) -> Float[Tensor, "batch window"]:
    """Turn a uniform number per channel into its sign, repeated over the window."""
    signs = torch.where(drawn < 0.5, -1.0, 1.0)
    return signs[:, :, None].expand(-1, -1, side * side).flatten(1)


def _by_channel(window: Float[Tensor, "batch window"], shape: _Shape) -> Float[Tensor, "batch channels square"]:
    return window.reshape(len(window), shape.channels, -1)


def _images(rows: _Rows, shape: _Shape) -> Images:
    return rows.view(-1, *shape)


def _lanes(shape: _Shape, norm: Norm) -> int:
    """Return how many random numbers a query takes: corners of windows, orientation, signs."""
    return shape.channels + (2 if norm is Norm.LINF else 5)


def _tile(shape: _Shape) -> int:
    """Return the side of a tile of the L2 start: a fifth of the image."""
    return max(min(shape.height, shape.width) // 5, 1)


def _tiles(shape: _Shape) -> int:
    """Return how many random numbers the tiling takes: an orientation and a sign per channel for every tile."""
    return (shape.height // _tile(shape)) * (shape.width // _tile(shape)) * (shape.channels + 1)


def _tiling(drawn: _Drawn, shape: _Shape) -> _Rows:
    """Cover the image with patterns of random sign and orientation; a margin that no tile fits into stays zero."""
    side = _tile(shape)
    rows, columns = shape.height // side, shape.width // side
    drawn = drawn.view(-1, shape.channels + 1, rows, 1, columns, 1)
    pattern = _pattern(side).to(drawn)[:, None, :]
    turned = torch.where(drawn[:, :1] < 0.5, pattern, pattern.transpose(0, 2))
    tiles = turned * torch.where(drawn[:, 1:] < 0.5, -1.0, 1.0)
    covered = tiles.reshape(len(drawn), shape.channels, rows * side, columns * side)
    top, left = (shape.height - rows * side) // 2, (shape.width - columns * side) // 2
    margins = (left, shape.width - columns * side - left, top, shape.height - rows * side - top)
    return torch.nn.functional.pad(covered, margins).flatten(1)


@cache
def _pattern(side: int) -> Float[Tensor, "side side"]:
    """Return the L2 update of unit length: a pyramid over the upper half, its negative over the lower half.

    Source:
        arXiv:1912.00049.
    """
    upper = side // 2
    halves = [sign * _pyramid(height, side) for sign, height in ((1, upper), (-1, side - upper)) if height]
    pattern = torch.cat(halves)
    return pattern / pattern.norm()


def _pyramid(height: int, width: int) -> Float[Tensor, "height width"]:
    """Return nested squares around the middle: Σ 1/(k+1)² over all k from the distance to the middle on, length 1."""
    layers = max(height // 2, width // 2) + 1
    falling = torch.arange(1, layers + 1, dtype=torch.float64).pow(-2)
    height_of = falling.flip(0).cumsum(0).flip(0)
    down = (torch.arange(height) - height // 2).abs()
    across = (torch.arange(width) - width // 2).abs()
    pyramid = height_of[torch.maximum(down[:, None], across)]
    return (pyramid / pyramid.norm()).float()


def rounds(settings: Settings, threat: ThreatModel, classes: int) -> tuple[Round, ...]:
    """Make one round: the start and every query."""
    del classes
    return (Round(0, float(threat.epsilon), Passes(forwards=whole(settings, "queries") + 1, backwards=0)),)


ATTACKS.register("square")(
    Attack(
        name="square",
        propose=propose,
        rounds=rounds,
        norms=frozenset({Norm.LINF, Norm.L2}),
        kind=Kind.FIXED_BUDGET,
        access=Access.BLACK_BOX,
        settings={"queries": "windows to try", "p_init": "share of the image that the first windows cover"},
        source="Andriushchenko et al. 2020, arXiv:1912.00049",
    )
)

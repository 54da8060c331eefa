"""Sparse-PGD: gradient ascent on colours for all pixels and on scores that say which pixels are changed."""

from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from bench.attacks import pixels
from bench.attacks.attack import ATTACKS, Access, Attack, Kind, Passes, Points, Round, Settings
from bench.attacks.draws import Draws
from bench.attacks.projections import evened
from bench.tensors import Classifier, Ids, Images, Labels
from bench.threats import Norm, ThreatModel

_COLOUR_STEP = 0.25
_SCORE_STEP = 0.25  # times the square root of the number of pixels
_PATIENCE = 3


@dataclass(frozen=True, slots=True)
class _State:
    """The points that are still searched.

    Attributes:
        rows: where they sit among the points of the attack.
        colours: how every pixel would change if it were chosen.
        scores: the pixels with the largest ones are chosen.
        chosen: the mask in use.
        stuck: steps since the chosen pixels last changed.
    """

    rows: Int[Tensor, " batch"]
    clean: Images
    labels: Labels
    ids: Ids
    colours: Float[Tensor, "batch channels height width"]
    scores: Float[Tensor, "batch pixels"]
    chosen: Bool[Tensor, "batch pixels"]
    stuck: Int[Tensor, " batch"]


def _start(points: Points, size: int, draws: Draws) -> _State:
    clean = points.images.contiguous()
    _, channels, height, width = clean.shape
    noise = draws.uniform(points.ids, 0, channels * height * width).view_as(clean) * 2 - 1
    scores = draws.normal(points.ids, 1, height * width)
    return _State(
        torch.arange(len(points), device=clean.device),
        clean,
        points.labels,
        points.ids,
        torch.minimum(torch.maximum(noise, -clean), 1 - clean),
        scores,
        pixels.top(scores, size),
        torch.zeros_like(points.labels),
    )


def _ascend(state: _State, gradient: Float[Tensor, "b c h w"], size: int, *, projected: bool) -> _State:
    """Move colours and scores along the gradient with respect to the changed image.

    The scores see every pixel (straight through the mask); the colours do so in the unprojected attack alone.
    """
    weight = state.scores.sigmoid()
    gradient = evened(gradient)
    slope = evened(weight * (1 - weight) * (gradient * state.colours).sum(dim=1).flatten(1))
    length = slope.norm(dim=1, keepdim=True)
    stride = _SCORE_STEP * state.scores.shape[1] ** 0.5
    scores = state.scores + stride * slope / torch.where(length > 0, length, 1)
    seen = state.chosen if projected else weight
    push = (gradient * seen.view(-1, 1, *gradient.shape[2:])).sign()
    colours = (state.colours + _COLOUR_STEP * push).clamp(-1, 1)
    colours = torch.minimum(torch.maximum(colours, -state.clean), 1 - state.clean)
    chosen = pixels.top(scores, size)
    stuck = torch.where((chosen == state.chosen).all(dim=1), state.stuck + 1, 0)
    return replace(state, colours=colours, scores=scores, chosen=chosen, stuck=stuck)


def _shake(state: _State, size: int, draws: Draws, step: int) -> _State:
    """Draw new scores for the points whose chosen pixels have not changed for some steps; colours stay."""
    rows = (state.stuck >= _PATIENCE).nonzero().flatten()
    if not len(rows):
        return state
    scores = draws.normal(state.ids[rows], step, state.scores.shape[1])
    state.scores[rows] = scores
    state.chosen[rows] = pixels.top(scores, size)
    state.stuck[rows] = 0
    return state


@torch.no_grad()
def _sparse_pgd(
    model: Classifier, points: Points, threat: ThreatModel, settings: Settings, draws: Draws, *, projected: bool
) -> Images:
    """Look for a misclassified image with one number of pixels per round, each on the cross-entropy.

    Source: Zhong et al. 2024, arXiv:2405.05075, algorithm 1.
    Differs from the source: draws and stagnation are kept per point; ties of the mask keep the earlier pixel; a
    gradient of the scores is followed however short it is, for its length tells of the unit of the logits.
    """
    del threat
    found = points.images.contiguous().clone()
    size = min(pixels.grid(settings)[draws.round], found.shape[2] * found.shape[3])
    state = _start(points, size, draws)
    for step in range(pixels.whole(settings, "iterations")):
        mask = state.chosen.view(-1, *found.shape[2:])
        images = pixels.assemble(state.clean, mask, state.clean + state.colours)
        with torch.enable_grad():
            verdict = pixels.judge(model, images.requires_grad_(), state.labels)
            loss = torch.nn.functional.cross_entropy(verdict.logits, state.labels, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, images)
        if verdict.broken.any():
            found[state.rows[verdict.broken]] = images.detach()[verdict.broken]
            state, gradient = pixels.select(state, ~verdict.broken), gradient[~verdict.broken]
            if not len(state.rows):
                break
        state = _shake(_ascend(state, gradient, size, projected=projected), size, draws, step + 2)
    return found


def _rounds(settings: Settings, threat: ThreatModel, classes: int) -> tuple[Round, ...]:
    del threat, classes
    steps = pixels.whole(settings, "iterations")
    return tuple(Round(index, float(rung), Passes(steps, steps)) for index, rung in enumerate(pixels.grid(settings)))


for _name, _projected in (("sparse-pgd-u", False), ("sparse-pgd-p", True)):
    ATTACKS.register(_name)(
        Attack(
            _name,
            partial(_sparse_pgd, projected=_projected),
            _rounds,
            frozenset({Norm.L0}),
            Kind.MINIMUM_NORM,
            Access.WHITE_BOX,
            {
                "iterations": "gradient steps per number of pixels",
                "grid": "numbers of pixels to try, rising, one round each",
            },
            "Zhong et al. 2024, arXiv:2405.05075",
        )
    )

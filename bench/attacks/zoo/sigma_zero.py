"""Sigma-zero on groups of channels: gradient descent on a smooth count of pixels, with a threshold that adapts."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from bench.attacks import pixels
from bench.attacks.attack import ATTACKS, Access, Attack, Kind, Passes, Points, Round, Settings
from bench.attacks.draws import Draws
from bench.tensors import Classifier, Flags, Images, Labels
from bench.threats import Norm, ThreatModel

_RATE = 1.0
_SIGMA = 1e-3
_THRESHOLD = 0.3
_THRESHOLD_STEP = 0.01
_BETAS = (0.9, 0.999)  # Adam, Kingma & Ba 2015, arXiv:1412.6980


@dataclass(frozen=True, slots=True)
class _State:
    """The points that are still searched.

    Attributes:
        rows: where they sit among the points of the attack.
        first, second: Adam's moments.
        threshold: a pixel none of whose channels changes by at least this is given back.
    """

    rows: Int[Tensor, " batch"]
    clean: Images
    labels: Labels
    change: Float[Tensor, "batch channels height width"]
    first: Float[Tensor, "batch channels height width"]
    second: Float[Tensor, "batch channels height width"]
    threshold: Float[Tensor, " batch"]
    fewest: Float[Tensor, " batch"]


def _rate(step: int, steps: int) -> float:
    """Return the learning rate, which falls to a tenth along a cosine."""
    return 0.1 * _RATE + 0.9 * _RATE * (1 + math.cos(math.pi * step / steps)) / 2


def _look(model: Classifier, images: Images, labels: Labels) -> tuple[Float[Tensor, "b c h w"], Flags]:
    """Return the gradient of max(margin, 0) and which images are misclassified."""
    with torch.enable_grad():
        leaf = images.detach().requires_grad_()
        verdict = pixels.judge(model, leaf, labels)
        (gradient,) = torch.autograd.grad(verdict.margins.clamp(min=0).sum(), leaf)
    return gradient, verdict.broken


def _sparsity(change: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Return the gradient of the mean over pixels of q / (q + sigma), q being the squared length of the change."""
    energy = change.square().sum(dim=1, keepdim=True)
    return 2 * _SIGMA * change / (energy + _SIGMA).square() / (change.shape[2] * change.shape[3])


def _descend(state: _State, gradient: Float[Tensor, "b c h w"], broken: Flags, step: int, steps: int) -> None:
    """Take one Adam step, back into the box, and give back the pixels below the threshold."""
    peak = gradient.flatten(1).abs().amax(dim=1).clamp_min(torch.finfo(gradient.dtype).tiny)
    gradient = gradient / peak.view(-1, 1, 1, 1)
    state.first.lerp_(gradient, 1 - _BETAS[0])
    state.second.lerp_(gradient.square(), 1 - _BETAS[1])
    scale = (state.second / (1 - _BETAS[1] ** (step + 1))).sqrt() + 1e-8
    moved = state.change - _rate(step, steps) * state.first / (1 - _BETAS[0] ** (step + 1)) / scale
    moved = (state.clean + moved).clamp(0, 1) - state.clean
    drift = _THRESHOLD_STEP * _rate(step + 1, steps)
    state.threshold.add_(torch.where(broken, drift, -drift)).clamp_(0, 1)
    small = moved.abs().amax(dim=1, keepdim=True) < state.threshold.view(-1, 1, 1, 1)
    state.change.copy_(torch.where(small, 0.0, moved))


@torch.no_grad()
def sigma_zero(model: Classifier, points: Points, threat: ThreatModel, settings: Settings, draws: Draws) -> Images:
    """Minimise max(margin, 0) plus a smooth count of changed pixels; then give back what is not needed.

    One run answers every number of pixels; a point leaves once it is down to the smallest one of the grid.

    Source: Cinà et al. 2025, arXiv:2402.01879, algorithm 1.
    Differs from the source: a pixel is one group of channels, as in Zhong et al. 2024, arXiv:2405.05075 (footnote 3);
    backward elimination of the result.
    """
    del threat, draws
    steps, floor = pixels.whole(settings, "steps"), pixels.grid(settings)[0]
    images = points.images.contiguous()
    best = images.clone()
    zero = torch.zeros_like(images)
    row = zero[:, 0, 0, 0]
    state = _State(
        torch.arange(len(points), device=images.device),
        images,
        points.labels,
        zero.clone(),
        zero.clone(),
        zero.clone(),
        row + _THRESHOLD,
        row + torch.inf,
    )
    for step in range(steps):
        current = pixels.assemble(state.clean, (state.change != 0).any(dim=1), state.clean + state.change)
        gradient, broken = _look(model, current, state.labels)
        size = pixels.count(state.clean, current).to(state.fewest.dtype)
        better = broken & (size < state.fewest)
        best[state.rows[better]] = current[better]
        state.fewest.copy_(torch.where(better, size, state.fewest))
        _descend(state, gradient + _sparsity(state.change), broken, step, steps)
        going = state.fewest > floor
        if not going.all():
            state = pixels.select(state, going)
        if not len(state.rows):
            break
    found = pixels.count(images, best).nonzero().flatten()
    budget = steps * pixels.whole(settings, "eliminate", least=0)
    best[found] = pixels.eliminate(model, images[found], best[found], points.labels[found], floor=floor, budget=budget)
    return best


def _rounds(settings: Settings, threat: ThreatModel, classes: int) -> tuple[Round, ...]:
    del threat, classes
    steps, eliminate = pixels.whole(settings, "steps"), pixels.whole(settings, "eliminate", least=0)
    return (Round(0, float(pixels.grid(settings)[0]), Passes(steps * (1 + eliminate), steps)),)


ATTACKS.register("sigma-zero")(
    Attack(
        "sigma-zero",
        sigma_zero,
        _rounds,
        frozenset({Norm.L0}),
        Kind.MINIMUM_NORM,
        Access.WHITE_BOX,
        {
            "steps": "gradient steps",
            "grid": "numbers of pixels that matter; a point leaves once it is down to the smallest",
            "eliminate": "forward passes that giving back pixels may cost, in multiples of the steps; 0 for none",
        },
        "Cinà et al. 2025, arXiv:2402.01879",
    )
)

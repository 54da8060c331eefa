"""FMN: gradient steps in a ball that shrinks while the image is misclassified and grows while it is not.

Source:
    Pintor et al. 2021, arXiv:2102.12827, algorithm 1, with the logit difference as loss and the clean image as start.

Differs from the source:
    Up to the first success the ball reaches past the linearised boundary by the factor 1 + γ, so that a flat boundary
    is crossed and not merely touched. The gradient at the last iterate is not computed, since nothing uses it.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from bench.attacks.attack import ATTACKS, Access, Attack, Kind, Passes, Points, Round, Settings
from bench.attacks.draws import Draws
from bench.attacks.losses import margin
from bench.attacks.pixels import whole
from bench.attacks.projections import direction, onto_ball, size, spread
from bench.tensors import Classifier, Distances, Images, Logits
from bench.threats import Norm, ThreatModel

STEP = (1.0, 0.01)  # α of the first and the last step; the gradient is scaled to Euclidean length 1 for both norms
SHRINK = (0.05, 1e-3)  # γ of the first and the last step
_DUAL = {Norm.L2: 2, Norm.LINF: 1}
_TINY = 1e-12  # slope per pixel unit, in the unit in which attacks see logits


class _Walk(NamedTuple):
    """Everything known about the points, one entry per point."""

    current: Tensor
    best: Tensor
    distance: Tensor
    radius: Tensor


def propose(model: Classifier, points: Points, threat: ThreatModel, settings: Settings, draws: Draws) -> Images:
    """Return the nearest misclassified image met, or the clean image."""
    del draws  # the method is deterministic
    steps = whole(settings, "steps")
    far = torch.full_like(points.distance, torch.inf)
    walk = _Walk(current=points.images, best=points.images, distance=far, radius=far)
    for index in range(steps - 1):
        logits, value, gradient = _ascent(model, walk.current, points)
        walk = _judge(walk, points, logits, threat.norm)
        fooled = logits.argmax(dim=1) != points.labels
        shrink, step = (_annealed(span, index / steps) for span in (SHRINK, STEP))
        radius = _radius(walk, points, fooled, _boundary(value, gradient, threat.norm), shrink, threat.norm)
        delta = walk.current - points.images + step * direction(gradient, Norm.L2)
        ahead = (points.images + onto_ball(delta, radius, threat.norm)).clamp_(0, 1)
        walk = walk._replace(current=ahead, radius=radius)
    with torch.no_grad():
        logits = model(walk.current)
    return _judge(walk, points, logits, threat.norm).best.clone()


def _ascent(model: Classifier, images: Images, points: Points) -> tuple[Logits, Distances, Images]:
    """Return logits, the lead of the best other class, and the gradient of that lead."""
    with torch.enable_grad():
        leaf = images.detach().requires_grad_()
        logits = model(leaf)
        value = -margin(logits, points.labels)
        (gradient,) = torch.autograd.grad(value.sum(), leaf)
    return logits.detach(), value.detach(), gradient


def _judge(walk: _Walk, points: Points, logits: Logits, norm: Norm) -> _Walk:
    """Remember nearer misclassified images."""
    fooled = logits.argmax(dim=1) != points.labels
    distance = torch.where(fooled, size(walk.current - points.images, norm), torch.inf)
    nearer = distance < walk.distance
    return walk._replace(
        best=torch.where(spread(nearer), walk.current, walk.best), distance=torch.minimum(distance, walk.distance)
    )


def _boundary(value: Distances, gradient: Images, norm: Norm) -> Distances:
    """Estimate the distance to the boundary by linearising the loss there."""
    slope = torch.linalg.vector_norm(gradient, ord=_DUAL[norm], dim=(1, 2, 3))
    return value.abs() / slope.clamp_min(_TINY)


def _radius(walk: _Walk, points: Points, fooled: Tensor, boundary: Distances, shrink: float, norm: Norm) -> Distances:
    """Shrink the ball where the image is misclassified; else grow it, at first past the linearised boundary."""
    inner = torch.minimum(walk.radius * (1 - shrink), walk.distance)
    reached = size(walk.current - points.images, norm) + boundary
    outer = torch.where(walk.distance.isfinite(), walk.radius, reached) * (1 + shrink)
    most = size(torch.maximum(points.images, 1 - points.images), norm)
    return torch.minimum(torch.where(fooled, inner, outer), most)


def _annealed(span: tuple[float, float], progress: float) -> float:
    """Fall from the first to the last value along half a cosine."""
    first, last = span
    return last + (first - last) * (1 + math.cos(math.pi * progress)) / 2


def rounds(settings: Settings, threat: ThreatModel, classes: int) -> tuple[Round, ...]:
    """Make one round over every correct point, whatever its distance."""
    del threat, classes
    steps = whole(settings, "steps")
    return (Round(0, 0.0, Passes(forwards=steps, backwards=steps - 1)),)


ATTACKS.register("fmn")(
    Attack(
        name="fmn",
        propose=propose,
        rounds=rounds,
        norms=frozenset({Norm.LINF, Norm.L2}),
        kind=Kind.MINIMUM_NORM,
        access=Access.WHITE_BOX,
        settings={"steps": "iterates, the clean image included"},
        source="Pintor et al. 2021, arXiv:2102.12827",
    )
)

"""FAB-T: walks along the decision boundary towards the clean image, one target class after another.

Source:
    Croce & Hein 2020, arXiv:1907.02044, algorithm 1, targeted as in AutoAttack's standard version.

Differs from the source:
    A point stops once its distance is within epsilon, since nothing after that changes its verdict; gradients are
    taken with respect to images alone.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from bench.attacks.attack import ATTACKS, Access, Attack, Kind, Passes, Points, Round, Settings
from bench.attacks.draws import Draws
from bench.attacks.losses import runner_up, targeted_difference
from bench.attacks.pixels import whole
from bench.attacks.projections import onto_hyperplane, safe_radius, size, spread
from bench.attacks.standing import Compaction, select
from bench.tensors import Classifier, Images, Labels
from bench.threats import Norm, ThreatModel

ALPHA_MAX = 0.1  # most weight of the step that starts from the clean image
ETA = 1.05  # overshoot beyond the linearised boundary
BETA = 0.9  # how much of the perturbation a step back keeps
_LEAST = 1e-8  # pixel units; keeps the weights of two vanishing steps defined


class _Walk(NamedTuple):
    """Everything known about the rows still at work, one entry per row."""

    row: Tensor
    labels: Tensor
    targets: Tensor
    originals: Tensor
    current: Tensor
    best: Tensor
    distance: Tensor


def propose(model: Classifier, points: Points, threat: ThreatModel, settings: Settings, draws: Draws) -> Images:
    """Return the nearest misclassified image met on the way to the boundary with one target class."""
    if not len(points):
        return points.images.clone()
    radius = safe_radius(threat)
    result = points.images.clone()
    walk = _Walk(
        row=torch.arange(len(points), device=points.images.device),
        labels=points.labels,
        targets=runner_up(points.logits, points.labels, draws.round),
        originals=points.images,
        current=points.images,
        best=points.images,
        distance=torch.full_like(points.distance, torch.inf),
    )
    done = walk.distance <= radius
    compaction = Compaction(done)
    for index in range(whole(settings, "steps")):
        if compaction.due(done, index):
            result[walk.row[done]] = walk.best[done]
            walk = select(walk, ~done)
            if not len(walk.row):
                return result
        walk = _judge(model, walk, _approach(model, walk, threat.norm), threat.norm)
        done = walk.distance <= radius
    result[walk.row] = walk.best
    return result


def _approach(model: Classifier, walk: _Walk, norm: Norm) -> Images:
    """Step onto the linearised boundary, biased towards its point nearest to the clean image."""
    difference, normal = _linearise(model, walk.current, walk.labels, walk.targets)
    offset = walk.originals - walk.current
    here = onto_hyperplane(walk.current, normal, difference, norm)
    home = onto_hyperplane(walk.originals, normal, difference + (normal * offset).sum(dim=(1, 2, 3)), norm)
    near, far = size(here, norm).clamp_min(_LEAST), size(home, norm).clamp_min(_LEAST)
    bias = spread((near / (near + far)).clamp_max(ALPHA_MAX))
    beyond, above = torch.add(walk.current, here, alpha=ETA), torch.add(walk.originals, home, alpha=ETA)
    return torch.lerp(beyond, above, bias).clamp_(0, 1)


def _linearise(model: Classifier, images: Images, labels: Labels, targets: Labels) -> tuple[Tensor, Images]:
    """Return target logit minus true logit, and its gradient with respect to each image."""
    with torch.enable_grad():
        leaf = images.detach().requires_grad_()
        difference = targeted_difference(model(leaf), labels, targets)
        (gradient,) = torch.autograd.grad(difference.sum(), leaf)
    return difference.detach(), gradient


def _judge(model: Classifier, walk: _Walk, ahead: Images, norm: Norm) -> _Walk:
    """Remember nearer misclassified images, and step back from the boundary where it was crossed."""
    with torch.no_grad():
        fooled = model(ahead).argmax(dim=1) != walk.labels
    delta = ahead - walk.originals
    distance = torch.where(fooled, size(delta, norm), torch.inf)
    nearer = distance < walk.distance
    return walk._replace(
        current=torch.where(spread(fooled), torch.add(walk.originals, delta, alpha=BETA), ahead),
        best=torch.where(spread(nearer), ahead, walk.best),
        distance=torch.minimum(distance, walk.distance),
    )


def rounds(settings: Settings, threat: ThreatModel, classes: int) -> tuple[Round, ...]:
    """Make one round per target class, fewer when there are fewer other classes."""
    steps = whole(settings, "steps")
    targets = min(whole(settings, "targets"), classes - 1)
    cost = Passes(forwards=2 * steps, backwards=steps)
    return tuple(Round(index, float(threat.epsilon), cost) for index in range(targets))


ATTACKS.register("fab-t")(
    Attack(
        name="fab-t",
        propose=propose,
        rounds=rounds,
        norms=frozenset({Norm.LINF, Norm.L2}),
        kind=Kind.MINIMUM_NORM,
        access=Access.WHITE_BOX,
        settings={"steps": "steps per target class", "targets": "most target classes to try"},
        source="Croce & Hein 2020, arXiv:1907.02044",
        alike=True,
    )
)

"""Auto-PGD: gradient ascent in a ball with momentum, whose step halves at checkpoints where it stopped paying.

The mechanism behind every APGD attack; the attacks differ in their loss and in the class they aim at.

Source:
    Croce & Hein 2020, arXiv:2003.01690, algorithm 1, with the constants of AutoAttack's standard version.

Differs from the source:
    Random numbers belong to points; a point leaves at its first success; the gradient at the last iterate is not
    computed, since nothing uses it; the first checkpoint counts the rise from the random start, as the paper says.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from bench.attacks.attack import Passes, Points
from bench.attacks.draws import Draws
from bench.attacks.projections import Ball, direction, safe_radius, spread
from bench.attacks.standing import Compaction, select
from bench.tensors import Classifier, Images, Labels, Logits
from bench.threats import Norm, ThreatModel

Loss: TypeAlias = Callable[[Logits, Labels, Labels], Float[Tensor, " batch"]]
"""(logits, true classes, target classes) to what the attack wants to grow."""

RHO = 0.75  # share of rising steps up to which the step halves, condition 1
MOMENTUM = 0.75  # α of algorithm 1: weight of the new step
FIRST_STEP = 2.0  # η⁽⁰⁾ = 2ε
PERIODS = (0.22, 0.03, 0.06)  # first checkpoint, shrinkage and least distance of checkpoints, in shares of all steps


class _Run(NamedTuple):
    """Everything known about the rows still at work, one entry per row."""

    row: Tensor
    labels: Tensor
    targets: Tensor
    originals: Tensor
    current: Tensor
    previous: Tensor
    gradient: Tensor
    loss: Tensor
    best: Tensor
    best_gradient: Tensor
    best_loss: Tensor
    rises: Tensor
    step: Tensor
    checked_loss: Tensor
    halved: Tensor
    found: Tensor
    fallen: Tensor


def passes(steps: int) -> Passes:
    """Return the passes of one run: the random start and every step, whose last needs no gradient."""
    return Passes(forwards=steps + 1, backwards=steps)


def ascend(
    model: Classifier, points: Points, targets: Labels, loss: Loss, threat: ThreatModel, steps: int, draws: Draws
) -> Images:
    """Return for each point the first misclassified iterate, or the clean image."""
    if not len(points):
        return points.images.clone()
    radius = safe_radius(threat)
    result = points.images.clone()
    ball = Ball(points.images, threat.norm, radius)
    run = _begin(model, points, targets, loss, ball.project(_start(points, threat.norm, radius, draws)), radius)
    compaction = Compaction(run.fallen)
    period, shrinkage, least = (max(int(share * steps), 1) for share in PERIODS)
    checkpoint = period
    for index in range(steps):
        if compaction.due(run.fallen, index):
            result[run.row[run.fallen]] = run.found[run.fallen]
            run = select(run, ~run.fallen)
            if not len(run.row):
                return result
            ball = Ball(run.originals, threat.norm, radius)
        ahead = _step(run, ball, threat.norm, momentum=index > 0)
        run = _observe(model, run, ahead, loss, last=index + 1 == steps)
        if index + 1 == checkpoint:
            run = _check(run, period)
            period = max(period - shrinkage, least)
            checkpoint += period
    result[run.row] = torch.where(spread(run.fallen), run.found, result[run.row])
    return result


def _start(points: Points, norm: Norm, radius: float, draws: Draws) -> Images:
    """Move each point to a random place on the rim of its ball."""
    numbers = points.images[0].numel()
    drawn = draws.uniform(points.ids, 0, numbers) * 2 - 1 if norm is Norm.LINF else draws.normal(points.ids, 0, numbers)
    noise = drawn.view(points.images.shape).to(points.images.dtype)
    return points.images + radius * direction(noise, norm)


def _begin(model: Classifier, points: Points, targets: Labels, loss: Loss, start: Images, radius: float) -> _Run:
    logits, value, gradient = _gradient(model, start, points.labels, targets, loss)
    return _Run(
        row=torch.arange(len(points), device=start.device),
        labels=points.labels,
        targets=targets,
        originals=points.images,
        current=start,
        previous=start,
        gradient=gradient,
        loss=value,
        best=start,
        best_gradient=gradient,
        best_loss=value,
        rises=torch.zeros_like(value),
        step=torch.full_like(value, FIRST_STEP * radius),
        checked_loss=value,
        halved=torch.ones_like(points.labels, dtype=torch.bool),
        found=start,
        fallen=logits.argmax(dim=1) != points.labels,
    )


def _gradient(
    model: Classifier, images: Images, labels: Labels, targets: Labels, loss: Loss
) -> tuple[Logits, Tensor, Images]:
    """Return logits, losses and the gradient of each loss with respect to its own image, and to nothing else."""
    with torch.enable_grad():
        leaf = images.detach().requires_grad_()
        logits = model(leaf)
        value = loss(logits, labels, targets)
        (gradient,) = torch.autograd.grad(value.sum(), leaf)
    return logits.detach(), value.detach(), gradient


def _step(run: _Run, ball: Ball, norm: Norm, *, momentum: bool) -> Images:
    """Take one projected step; from the second on, mix it with the last movement."""
    uphill = run.gradient.sign() if norm is Norm.LINF else direction(run.gradient, norm)
    ahead = ball.project(run.current + spread(run.step) * uphill)
    if not momentum:
        return ahead
    mixed = torch.lerp(run.current, ahead, MOMENTUM).add_(run.current - run.previous, alpha=1 - MOMENTUM)
    return ball.project(mixed)


def _observe(model: Classifier, run: _Run, ahead: Images, loss: Loss, *, last: bool) -> _Run:
    """Evaluate the new iterates and remember the best and the successful ones."""
    if last:
        with torch.no_grad():
            fooled = model(ahead).argmax(dim=1) != run.labels
        return run._replace(found=_update(fooled & ~run.fallen, ahead, run.found), fallen=run.fallen | fooled)
    logits, value, gradient = _gradient(model, ahead, run.labels, run.targets, loss)
    fooled = logits.argmax(dim=1) != run.labels
    better = value > run.best_loss
    return run._replace(
        current=ahead,
        previous=run.current,
        gradient=gradient,
        loss=value,
        best=_update(better, ahead, run.best),
        best_gradient=_update(better, gradient, run.best_gradient),
        best_loss=torch.maximum(value, run.best_loss),
        rises=run.rises + (value > run.loss),
        found=_update(fooled & ~run.fallen, ahead, run.found),
        fallen=run.fallen | fooled,
    )


def _check(run: _Run, period: int) -> _Run:
    """Halve the step where fewer than the share ρ of the last steps rose, or where nothing was gained; go back there.

    The second condition applies only if the step was not halved at the checkpoint before.
    """
    halve = (run.rises <= RHO * period) | (~run.halved & (run.checked_loss >= run.best_loss))
    return run._replace(
        current=_update(halve, run.best, run.current),
        gradient=_update(halve, run.best_gradient, run.gradient),
        step=torch.where(halve, run.step / 2, run.step),
        rises=torch.zeros_like(run.rises),
        checked_loss=run.best_loss,
        halved=halve,
    )


def _update(where: Bool[Tensor, " batch"], fresh: Images, kept: Images) -> Images:
    return torch.where(spread(where), fresh, kept)

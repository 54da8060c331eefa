"""Attacks one's own network on one's own tensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.attacks.attack import ATTACKS, Passes
from bench.errors import UsageError
from bench.evaluation import environment
from bench.evaluation.environment import exact_arithmetic
from bench.evaluation.judge.pool import Pool
from bench.evaluation.plan.plan import steps_of
from bench.evaluation.search.batch import automatic_batch, bytes_of, footprint, room_on
from bench.evaluation.search.cascade import Cascade, Target, Watch
from bench.evaluation.search.denormal import without_denormals
from bench.evaluation.search.meter import clean_logits
from bench.evaluation.search.step import Step
from bench.interface.network import frozen
from bench.interface.progress import watching
from bench.models.probe import classes_of
from bench.protocol.load import Protocol
from bench.protocol.own import find
from bench.pruning.prune import Pruned
from bench.tensors import Distances, Flags, Images, Labels
from bench.threats import Norm, ThreatModel, exact, norm_of


@dataclass(frozen=True, slots=True)
class Attacked:
    """What a cascade of attacks found.

    Attributes:
        images: (N, C, H, W), the nearest verified adversarial image of each point; the clean one where there is none.
        distances: (N,), its size in the norm of the threat model; 0 for a misclassified point, infinity where none was
            found.
        correct: (N,), classified rightly without any attack.
        robust: (N,), correct, and no image inside the ball fools the network.
        broken: by attack, in the order they ran, the points that fell to it first.
        passes: forward and backward passes of all points together.
    """

    threat: ThreatModel
    images: Images
    distances: Distances
    correct: Flags
    robust: Flags
    broken: Mapping[str, Flags]
    passes: Passes

    def __repr__(self) -> str:
        """Say the counts in one line."""
        says = ", ".join(f"{name} {int(points.sum())}" for name, points in self.broken.items() if points.any())
        return (
            f"{self.threat}: {int(self.robust.sum())} robust of {len(self.robust)} points "
            f"({int(self.correct.sum())} correct; broken by {says or 'nothing'})"
        )


@exact_arithmetic()
def attack(
    network: nn.Module | Pruned,
    images: Tensor,
    labels: Tensor,
    *,
    norm: str | Norm,
    epsilon: Any,
    preset: str | None = None,
    protocol: str | Path = "cifar10-v1",
    ids: Tensor | None = None,
    seed: int | None = None,
    device: str = "auto",
    batch_size: int | None = None,
    memory: float | None = None,
    progress: bool | Watch | None = True,
) -> Attacked:
    """Attack a network on tensors, with the attacks and budgets that a protocol has for a norm.

    Verdicts are those of ``bench evaluate`` on the same points: the same cascade, judged by the same forward passes,
    with random numbers that belong to the ids.

    Args:
        network: maps images in [0, 1] to logits; a frozen copy of it in evaluation mode is attacked.
        images: (N, C, H, W), in [0, 1].
        labels: (N,), the true classes.
        norm: ``"Linf"``, ``"L2"`` or ``"L0"`` (pixels).
        epsilon: radius in pixel units, exact: ``"8/255"``, a fraction, or a number, taken as the nearest fraction with
            a denominator of at most a million.
        preset: other budgets of the protocol, such as ``"fast"``; None takes its own.
        protocol: whose attacks and budgets; a name or a file.
        ids: (N,), keys of the random draws; 0, 1, 2, … where left out.
        seed: None takes the protocol's.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``.
        batch_size: points attacked at once; None takes what suits network and device. Verdicts do not depend on it.
        memory: gibibytes that the attacks may take on the device; None takes what suits it.
        progress: True shows a bar on a terminal and in a notebook, False nothing; a callable hears (threat, attack,
            rounds done, rounds in all, points standing) in its place.

    Raises:
        UsageError: if tensors, norm or epsilon are not as described.
        ContractError: if the network gives anything but finite logits; then there is no number.
    """
    images, labels = _tensors(images, labels)
    rules = find(str(protocol)).under(preset or "standard")
    threat = ThreatModel(norm_of(norm), _radius(epsilon))
    place = environment.device(device)
    model = frozen(network)
    classes = classes_of(model, images)
    _hold_labels(labels, classes)
    size = batch_size or _batch(model, images, place, bytes_of(memory))
    target = _target(model.to(place), images.to(place), labels.to(place), ids, size)
    pool = Pool(target.images, target.logits.argmax(dim=1) == target.labels, [threat])
    steps = [_at(step, threat) for step in _steps(rules, threat.norm, images)]
    spent = Passes(len(labels), 0)
    with watching(type(model).__name__, steps, classes, progress) as watch:
        cascade = Cascade(target, pool, rules.seed if seed is None else seed, size, watch=watch)
        for step in steps:
            tally = cascade.run(step.attack, threat, step.settings)
            spent += Passes(tally.forwards, tally.backwards)
    return _found(threat, pool, spent)


def _batch(model: nn.Module, images: Images, place: torch.device, memory: int | None) -> int:
    besides = images.nbytes + sum(tensor.nbytes for tensor in model.state_dict().values())
    return automatic_batch(footprint(model, images[:1]), place, room_on(place, memory, besides))


def _target(model: nn.Module, images: Images, labels: Labels, ids: Tensor | None, batch: int) -> Target:
    points = torch.arange(len(labels)) if ids is None else ids
    quick = without_denormals(model, images.shape[1:])
    logits = clean_logits(quick, images, batch)
    return Target(quick, images, labels, points.to(images.device, torch.int64), logits)


def _found(threat: ThreatModel, pool: Pool, spent: Passes) -> Attacked:
    images, rows = pool.originals.clone(), pool.witnessed(threat.norm).nonzero().flatten()
    images[rows] = pool.witnesses(threat.norm, rows)
    return Attacked(
        threat=threat,
        images=images,
        distances=pool.distance[threat.norm],
        correct=pool.correct,
        robust=pool.standing(threat.norm, float(threat.epsilon)),
        broken=dict(pool.broken[threat.norm]),
        passes=spent,
    )


def _steps(rules: Protocol, norm: Norm, images: Images) -> list[Step]:
    _, channels, height, width = images.shape
    return steps_of(rules, rules.threat(norm), (channels, height, width), ATTACKS.__getitem__)


def _at(step: Step, threat: ThreatModel) -> Step:
    """Return a step under another radius; ladders of pixels get a rung there, beams reach it."""
    settings = dict(step.settings)
    if threat.norm is Norm.L0 and "grid" in settings:
        settings["grid"] = tuple(sorted({*settings["grid"], int(threat.epsilon)}))  # type: ignore[misc]
    if threat.norm is Norm.L0 and "pixels" in settings:
        settings["pixels"] = max(int(settings["pixels"]), int(threat.epsilon))  # type: ignore[arg-type]
    return Step(step.attack, threat, settings)


def _radius(epsilon: Any) -> Fraction:
    if isinstance(epsilon, str | int | Fraction):
        return exact(str(epsilon))
    try:
        return Fraction(float(epsilon)).limit_denominator(1_000_000)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"epsilon should be a positive number such as '8/255', got {epsilon!r}.") from None


def _tensors(images: Any, labels: Any) -> tuple[Images, Labels]:
    if not isinstance(images, Tensor) or images.ndim != 4 or not len(images):
        found = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise UsageError(f"images should be a tensor of shape (N, C, H, W) with N at least 1, got {found}.")
    if not images.is_floating_point():
        raise UsageError(f"images should hold floating-point numbers in [0, 1], got {images.dtype}; divide by 255.")
    images = images.detach().to("cpu", torch.float32)
    if not images.isfinite().all() or not 0 <= float(images.min()) <= float(images.max()) <= 1:
        raise UsageError(
            f"images should lie in [0, 1], got numbers from {images.min():g} to {images.max():g}; "
            "normalisation belongs inside the network."
        )
    if not isinstance(labels, Tensor) or labels.shape != images.shape[:1] or labels.is_floating_point():
        given = f"{labels.dtype}, {tuple(labels.shape)}" if isinstance(labels, Tensor) else type(labels).__name__
        raise UsageError(f"labels should be one whole number per image, {len(images)} in all, got {given}.")
    return images, labels.detach().to("cpu", torch.int64)


def _hold_labels(labels: Labels, classes: int) -> None:
    if not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise UsageError(
            f"labels should lie in 0..{classes - 1}, for the network tells {classes} classes apart; got "
            f"{int(labels.min())} to {int(labels.max())}."
        )

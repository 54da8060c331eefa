"""AutoAttack's own implementation behind the attack contract: the independent auditor of the native attacks.

The four attack classes of ``pyautoattack`` are driven one at a time; its driver, its resume and its checks are not
used. Its traps are met here: it views images as contiguous memory, seeds the global generator (from the clock, if not
told otherwise), leaves gradients on the weights, and fails when there are fewer classes than targets.

Differs from the source:
    The seed of a batch is a hash of (seed, attack, ids of the batch). The package draws for a batch as a whole, so its
    candidates depend on which points share a batch; only a fixed partition makes them repeatable. With fewer classes
    than targets + 1 it aims at all other classes. With fewer than four classes its targeted DLR loss is undefined, and
    the loss of ``bench.attacks.losses`` takes its place.
"""

import hashlib
import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bench.attacks.attack import ATTACKS, Attack, Kind, Passes, Points, Propose, Round, Settings
from bench.attacks.draws import Draws
from bench.attacks.losses import targeted_dlr
from bench.attacks.pixels import number, whole
from bench.errors import UsageError
from bench.registry import unknown
from bench.tensors import Classifier, Ids, Images, Logits
from bench.threats import ThreatModel

_QUIET = logging.getLogger(f"{__name__}.quiet")  # doubts are found by the checks of this benchmark
_QUIET.disabled = True

_Perturb = Callable[[Classifier, Points, ThreatModel, Settings, int], Tensor]


def covers(name: str) -> bool:
    """Tell whether AutoAttack has an attack of this name."""
    return name in _ENGINES


def reference(name: str) -> Attack:
    """Return AutoAttack's implementation of the native attack called ``name``, under the same name.

    Raises:
        UsageError: if AutoAttack has no such attack.
    """
    if not covers(name):
        raise UsageError(
            f"The reference engine covers AutoAttack alone. {unknown('reference attack', name, list(_ENGINES))}"
        )
    perturb, passes = _ENGINES[name]
    native = ATTACKS[name]

    def rounds(settings: Settings, threat: ThreatModel, classes: int) -> tuple[Round, ...]:
        return (Round(0, float(threat.epsilon), passes(settings, classes)),)

    return Attack(
        name=name,
        propose=_contained(perturb),
        rounds=rounds,
        norms=native.norms,
        kind=Kind.FIXED_BUDGET,
        access=native.access,
        settings=native.settings,
        source=f"{native.source}, as implemented by pyautoattack 0.2.0",
    )


def _contained(perturb: _Perturb) -> Propose:
    """Wrap an attack of the package so that nothing but its candidates gets out."""

    def propose(model: Classifier, points: Points, threat: ThreatModel, settings: Settings, draws: Draws) -> Images:
        if not len(points):
            return points.images.clone()
        guarded = _image_gradients_only(model)
        with torch.random.fork_rng():
            candidates = perturb(guarded, points, threat, settings, batch_seed(draws, points.ids))
        return candidates.detach()

    return propose


def batch_seed(draws: Draws, ids: Ids) -> int:
    """Return the seed of one batch: the same for the same seed, attack, round and points in the same order."""
    text = f"{draws.seed}|{draws.attack}|{draws.round}|{ids.tolist()}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")


class _ImageGradient(torch.autograd.Function):
    """Differentiates a classifier with respect to its images and to nothing else."""

    @staticmethod
    def forward(ctx: Any, images: Images, model: Classifier) -> Logits:
        """Run the classifier on a graph of its own."""
        with torch.enable_grad():
            ctx.leaf = images.detach().requires_grad_()
            ctx.logits = model(ctx.leaf)
        return ctx.logits.detach()

    @staticmethod
    def backward(ctx: Any, upstream: Logits) -> tuple[Images, None]:
        """Return the gradient of the images; weights never see one."""
        (gradient,) = torch.autograd.grad(ctx.logits, ctx.leaf, upstream)
        return gradient, None


def _image_gradients_only(model: Classifier) -> Classifier:
    def classify(images: Images) -> Logits:
        if torch.is_grad_enabled() and images.requires_grad:
            return _ImageGradient.apply(images, model)
        return model(images)

    return classify


def _inputs(points: Points) -> tuple[Images, Tensor]:
    return points.images.detach().clone(memory_format=torch.contiguous_format), points.labels.clone()


def _targets(settings: Settings, classes: int) -> int:
    return max(min(whole(settings, "targets"), classes - 1), 0)


def _apgd_ce(model: Classifier, points: Points, threat: ThreatModel, settings: Settings, seed: int) -> Tensor:
    from pyautoattack.autopgd_base import APGDAttack

    images, labels = _inputs(points)
    attack = APGDAttack(
        model,
        n_iter=whole(settings, "steps"),
        norm=str(threat.norm),
        eps=float(threat.epsilon),
        seed=seed,
        loss="ce",
        device=images.device,
        logger=_QUIET,
    )
    return attack.perturb(images, labels)


def _apgd_t(model: Classifier, points: Points, threat: ThreatModel, settings: Settings, seed: int) -> Tensor:
    from pyautoattack.autopgd_base import APGDAttack_targeted

    images, labels = _inputs(points)
    classes = points.logits.shape[1]
    attack = APGDAttack_targeted(
        model,
        n_iter=whole(settings, "steps"),
        norm=str(threat.norm),
        eps=float(threat.epsilon),
        seed=seed,
        n_target_classes=_targets(settings, classes),
        device=images.device,
        logger=_QUIET,
    )
    if classes < 4:
        attack.dlr_loss_targeted = lambda logits, true: targeted_dlr(logits, true, attack.y_target)
    return attack.perturb(images, labels)


def _fab_t(model: Classifier, points: Points, threat: ThreatModel, settings: Settings, seed: int) -> Tensor:
    from pyautoattack.fab_pt import FABAttack_PT

    images, labels = _inputs(points)
    attack = FABAttack_PT(
        model,
        norm=str(threat.norm),
        n_iter=whole(settings, "steps"),
        eps=float(threat.epsilon),
        seed=seed,
        targeted=True,
        n_target_classes=_targets(settings, points.logits.shape[1]),
        device=images.device,
    )
    return attack.perturb(images, labels)


def _square(model: Classifier, points: Points, threat: ThreatModel, settings: Settings, seed: int) -> Tensor:
    from pyautoattack.square import SquareAttack

    images, labels = _inputs(points)
    attack = SquareAttack(
        model,
        norm=str(threat.norm),
        n_queries=whole(settings, "queries"),
        eps=float(threat.epsilon),
        p_init=number(settings, "p_init"),
        seed=seed,
        device=images.device,
    )
    return attack.perturb(images, labels)


def _apgd_ce_passes(settings: Settings, classes: int) -> Passes:
    """Count the clean pass, the random start and every step, each of the last two with its gradient."""
    del classes
    steps = whole(settings, "steps")
    return Passes(forwards=steps + 2, backwards=steps + 1)


def _apgd_t_passes(settings: Settings, classes: int) -> Passes:
    """Count the clean pass, and per target another one, the random start and every step."""
    steps, targets = whole(settings, "steps"), _targets(settings, classes)
    return Passes(forwards=1 + targets * (steps + 2), backwards=targets * (steps + 1))


def _fab_t_passes(settings: Settings, classes: int) -> Passes:
    """Count the clean pass, and per target two more, two for every step, and one at the end."""
    steps, targets = whole(settings, "steps"), _targets(settings, classes)
    return Passes(forwards=1 + targets * (2 * steps + 3), backwards=targets * steps)


def _square_passes(settings: Settings, classes: int) -> Passes:
    """Count the clean pass, the start, every query and the last look."""
    del classes
    return Passes(forwards=whole(settings, "queries") + 3, backwards=0)


_ENGINES: dict[str, tuple[_Perturb, Callable[[Settings, int], Passes]]] = {
    "apgd-ce": (_apgd_ce, _apgd_ce_passes),
    "apgd-t": (_apgd_t, _apgd_t_passes),
    "fab-t": (_fab_t, _fab_t_passes),
    "square": (_square, _square_passes),
}

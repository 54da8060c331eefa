"""Attacks that a check makes on a few points; what they break counts like any other witness."""

from collections.abc import Iterable

import torch
from torch import Tensor

from bench.attacks.attack import Access, Attack, Kind, Settings
from bench.evaluation.checks.check import Evidence, Turn
from bench.evaluation.judge.distances import ceiling
from bench.evaluation.judge.pool import Pool
from bench.evaluation.judge.verify import verify
from bench.evaluation.search.cascade import Cascade, Target
from bench.evaluation.search.meter import Meter
from bench.tensors import Classifier, Flags, Images, portion
from bench.threats import Norm, ThreatModel

_BATCH = 64


def standing(evidence: Evidence, threat: ThreatModel) -> Tensor:
    """Return the places of the points that no attack has broken."""
    assert evidence.campaign is not None
    return evidence.campaign.pool.standing(threat.norm, float(threat.epsilon)).nonzero().flatten()


def attack(
    evidence: Evidence,
    rows: Tensor,
    chosen: Attack,
    threat: ThreatModel,
    settings: Settings,
    *,
    through: Classifier | None = None,
) -> Flags:
    """Run an attack on some points as if nothing were known of them, and tell which it breaks within the radius.

    Args:
        evidence: of the model under suspicion.
        rows: places of the points.
        chosen: the attack.
        threat: norm and radius.
        settings: of the attack.
        through: what the attack sees instead of the model; what it breaks is judged on the model itself.
    """
    images, labels, ids = evidence.images[rows], evidence.labels[rows], evidence.ids[rows]
    seen = evidence.model if through is None else _Counted(through, evidence.model)
    pool = Pool(images, torch.ones_like(labels, dtype=torch.bool), [threat])
    cascade = Cascade(
        Target(seen, images, labels, ids, evidence.logits[rows]), pool, evidence.seed, portion(images, _BATCH)
    )
    cascade.run(chosen, threat, settings)
    found = ~pool.standing(threat.norm, float(threat.epsilon))
    broken = torch.zeros_like(found)
    broken[found] = keep(evidence, rows[found], pool.witnesses(threat.norm, found.nonzero().flatten()), threat)
    return broken


def keep(evidence: Evidence, rows: Tensor, candidates: Images, threat: ThreatModel) -> Flags:
    """Judge candidates on the model, let the witnesses among them join the pool, and tell which break their point."""
    if not len(rows):
        return torch.zeros_like(rows, dtype=torch.bool)
    verdict = verify(evidence.model, evidence.images[rows], candidates, evidence.labels[rows], threat)
    if evidence.campaign is not None:
        evidence.campaign.pool.absorb(rows, candidates, verdict)
    within = verdict.distances[threat.norm] <= ceiling(threat)
    return verdict.fooled & within


class _Counted:
    """Another view of a model, whose passes are booked on the model's meter."""

    def __init__(self, classifier: Classifier, meter: Meter) -> None:
        self._view = Meter(classifier, meter.classes)
        self._meter = meter

    def __call__(self, images: Images, /) -> Tensor:
        before = self._view.forwards, self._view.backwards
        logits = self._view(images)
        self._meter.forwards += self._view.forwards - before[0]
        if logits.requires_grad:
            logits.register_hook(self._backward)
        return logits

    def _backward(self, gradient: Tensor) -> None:
        self._meter.backwards += len(gradient)


def at_radius(settings: Settings, threat: ThreatModel) -> Settings:
    """Return the settings of an attack that looks for several numbers of pixels, cut to those of one radius.

    A search that grows pixel by pixel never goes farther than it did: to the whole image it would take a step a pixel.
    """
    if threat.norm is not Norm.L0:
        return settings
    radius, cut = int(threat.epsilon), dict(settings)
    if "grid" in cut:
        cut["grid"] = (radius,)
    if isinstance(most := cut.get("pixels"), int):
        cut["pixels"] = min(most, radius)
    return cut


def gradient_turns(turns: Iterable[Turn]) -> list[Turn]:
    """Return the turns that follow gradients to a radius: fixed budgets, and under L0, where hardly any is, all."""
    return [
        turn
        for turn in turns
        if turn.attack.access is Access.WHITE_BOX
        and (turn.attack.kind is Kind.FIXED_BUDGET or turn.threat.norm is Norm.L0)
    ]

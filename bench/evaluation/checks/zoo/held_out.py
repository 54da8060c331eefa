"""Held-out points: a network does no better on the points of the protocol than on others like them."""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from typing import NamedTuple

import torch
from torch import nn

from bench.attacks.attack import ATTACKS
from bench.data.dataset import EvalSet
from bench.errors import ContractError, InputError
from bench.evaluation.checks.check import CHECKS, Check, Evidence, Sides, Stage, Thresholds
from bench.evaluation.checks.doubt import concluding, doubt, graded, spread
from bench.evaluation.judge.pool import Pool
from bench.evaluation.search.cascade import Cascade, Target
from bench.evaluation.search.meter import clean_logits
from bench.models.source import state_digest
from bench.offline import offline
from bench.submission.schema import Flag, Level
from bench.tensors import Flags, portion
from bench.threats import Norm, ThreatModel

_ATTACK = "apgd-ce"
_BATCH = 250


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Compare clean accuracy, and accuracy under a short attack, inside and outside the protocol.

    The figure is the lower end of a one-sided score interval of the difference, so chance alone raises no doubt. The
    attack is the check's own and the points inside are the protocol's: presets, and norms or points that were left out
    of a run, change nothing here. Points that are not on this machine are never fetched in the middle of a run, and
    never passed over in silence.
    """
    if evidence.held_out is None:
        return []
    try:
        with offline():
            sides = evidence.held_out()
    except InputError:
        says = (
            "Nobody can tell whether the network knows the points of these rules: the points outside them are not at "
            "hand, or are not those that the rules pin; `bench evaluate` with --dry-run says where to place them."
        )
        return [doubt("held-out", Level.WARN, None, None, says)]
    try:
        found = list(_compared(evidence, sides, thresholds))
    except ContractError:
        return []  # the attacks meet the same network, and end the run with this error
    widest = max(found, key=lambda one: one.gap(thresholds["sigmas"]))
    says = concluding(
        widest.points,
        f"{widest.what}, {widest.inside} of the {widest.points} points of these rules and {widest.outside} of "
        f"{widest.others} like them are classified correctly",
        "so the network knows the points that it is measured on",
    )
    return graded("held-out", widest.gap(thresholds["sigmas"]), thresholds, says)


class _Compared(NamedTuple):
    """Correct points inside the protocol and outside of it, when nobody attacks or under an attack."""

    what: str
    inside: int
    points: int
    outside: int
    others: int

    def gap(self, sigmas: float) -> float:
        """Return how much larger the share inside is at least.

        With p and q the two shares, l the lower end of the score interval of p and u the upper end of that of q, it is
        ``p − q − √((p − l)² + (u − q)²)``.

        Source: Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I, method 10.
        """
        share, other = self.inside / self.points, self.outside / self.others
        below = share - _score(share, self.points, -sigmas)
        above = _score(other, self.others, sigmas) - other
        return share - other - math.hypot(below, above)


def _score(share: float, total: int, sigmas: float) -> float:
    """Return one end of the score interval of a share: the upper one for positive ``sigmas``.

    Source: Wilson 1927, doi:10.1080/01621459.1927.10502953.
    """
    square = sigmas * sigmas
    half = sigmas * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    end = (share + square / (2 * total) + half) / (1 + square / total)
    return min(max(end, 0.0), 1.0)  # rounding passes both


def _compared(evidence: Evidence, sides: Sides, thresholds: Thresholds) -> Iterator[_Compared]:
    most = thresholds["points"]
    chosen = _evenly(sides.inside, most), _drawn(sides.outside, evidence.network, most)
    targets = [_target(evidence, points) for points in chosen]
    yield _Compared("When nobody attacks", *_counts(targets, _right))
    for norm in (Norm.LINF, Norm.L2):
        threat = ThreatModel(norm, Fraction(str(thresholds[norm.lower()])))
        what = f"Under {int(thresholds['steps'])} steps of {_ATTACK} in {norm}"
        yield _Compared(what, *_counts(targets, partial(_standing, evidence, threat, int(thresholds["steps"]))))


def _evenly(points: EvalSet, most: float) -> EvalSet:
    return points.take(spread(torch.from_numpy(points.ids), most).tolist())


def _drawn(pool: EvalSet, network: nn.Module, most: float) -> EvalSet:
    """Return points chosen by a hash of the weights, which nobody knows before the network is trained."""
    digest = state_digest(network)
    order = sorted(pool.ids.tolist(), key=lambda point: hashlib.sha256(f"{digest} {point}".encode()).digest())
    return pool.take(sorted(order[: int(most)]))


def _target(evidence: Evidence, points: EvalSet) -> Target:
    device = evidence.images.device
    images = points.images(device)
    logits = clean_logits(evidence.model, images, portion(images, _BATCH))
    return Target(evidence.model, images, points.label_tensor(device), points.id_tensor(device), logits)


def _counts(targets: Sequence[Target], which: Callable[[Target], Flags]) -> tuple[int, int, int, int]:
    inside, outside = targets
    return int(which(inside).sum()), len(inside.labels), int(which(outside).sum()), len(outside.labels)


def _right(target: Target) -> Flags:
    return target.logits.argmax(dim=1) == target.labels


def _standing(evidence: Evidence, threat: ThreatModel, steps: int, target: Target) -> Flags:
    pool = Pool(target.images, _right(target), [threat])
    cascade = Cascade(target, pool, evidence.seed, portion(target.images, _BATCH))
    cascade.run(ATTACKS[_ATTACK], threat, {"steps": steps})
    return pool.standing(threat.norm, float(threat.epsilon))


CHECKS.register("held-out")(
    Check(
        name="held-out",
        stage=Stage.PRUNING,
        examine=examine,
        thresholds={
            "points": "most points inside, evenly spaced, and outside, chosen by a hash of the weights",
            "steps": f"of {_ATTACK}",
            "linf": "radius under Linf",
            "l2": "radius under L2",
            "sigmas": "normal quantile of the one-sided interval of the difference",
            "warn": "least difference of the shares above which a reader is warned",
            "withhold": "least difference of the shares above which the number is withheld",
        },
        catches="networks that know the points they are measured on: trained on them, or holding them",
        source="Recht et al. 2018, arXiv:1806.00451, who measured CIFAR-10 networks on new images",
    )
)

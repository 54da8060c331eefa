"""Convergence: more steps and another start break hardly anything more."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.attacks.attack import Access, Settings
from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds, Turn
from bench.evaluation.checks.doubt import GRADED, concluding, graded, spread
from bench.evaluation.checks.probe import at_radius, attack, standing
from bench.submission.schema import Flag
from bench.submission.score import wilson
from bench.threats import Norm, ThreatModel

_LENGTHS = ("steps", "iterations", "queries")
"""Settings that say how long an attack searches."""


@dataclass(frozen=True, slots=True)
class _Again:
    """An attack made again, with more room."""

    turn: Turn
    settings: Settings


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Attack points that stand once more, from another start and for longer.

    Under Linf and L2 with the gradient attacks, under L0 with the last attack of the cascade, whichever it is. The
    figure is the lower end of the 95 % interval of the share that falls, for the sample is small.
    """
    campaign = evidence.campaign
    found: list[Flag] = []
    for threat in campaign.threats if campaign else ():
        assert campaign is not None
        rows = spread(standing(evidence, threat), thresholds["points_l0" if threat.norm is Norm.L0 else "points"])
        again = _again(campaign.against(threat), threat, thresholds)
        if not len(rows) or not again:
            continue
        left = rows
        for one in again:
            if len(left):
                left = left[~attack(evidence, left, one.turn.attack, threat, one.settings)]
        broken = len(rows) - len(left)
        says = concluding(
            len(evidence.labels),
            f"{threat}: {thresholds['factor']:g} times the steps from another start break {broken} of {len(rows)} "
            "points that withstood the attacks as the protocol has them",
            "they have not converged on this model",
        )
        found += graded("convergence", wilson(broken, len(rows)).low, thresholds, says)
    return found


def _again(turns: Sequence[Turn], threat: ThreatModel, thresholds: Thresholds) -> list[_Again]:
    if threat.norm is Norm.L0:
        chosen = list(turns[-1:])
    else:
        chosen = [turn for turn in turns if turn.attack.access is Access.WHITE_BOX][: int(thresholds["attacks"])]
    return [_Again(turn, _longer(turn.settings, threat, thresholds)) for turn in chosen]


def _longer(settings: Settings, threat: ThreatModel, thresholds: Thresholds) -> Settings:
    changed = dict(settings)
    for key in _LENGTHS:
        value = settings.get(key)
        if isinstance(value, int):
            changed[key] = int(value * thresholds["factor"])
    targets = settings.get("targets")
    if isinstance(targets, int):
        changed["targets"] = min(targets, int(thresholds["targets"]))
    return at_radius(changed, threat)


CHECKS.register("convergence")(
    Check(
        name="convergence",
        stage=Stage.ATTACKS,
        examine=examine,
        thresholds={
            "points": "standing points attacked again, per threat model",
            "points_l0": "the same under L0",
            "factor": "how many times the protocol's steps",
            "attacks": "how many white-box attacks of the cascade are made again",
            "targets": "most target classes of a targeted attack",
            **GRADED,
        },
        catches="too few steps or starts for this model",
        source="Carlini et al. 2019, arXiv:1902.06705; Pintor et al. 2022, arXiv:2106.09947",
    )
)

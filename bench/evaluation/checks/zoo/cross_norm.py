"""Cross-norm consistency: what one norm's attacks have broken, another norm's must break too.

For a perturbation of d numbers in c channels, ‖δ‖∞ ≤ ‖δ‖₂ ≤ √d·‖δ‖∞ and ‖δ‖₂ ≤ √(c·‖δ‖₀). Hence
RA_L2(ε√d) ≤ RA_Linf(ε), RA_Linf(ε) ≤ RA_L2(ε) and RA_L2(√(ck)) ≤ RA_L0(k).
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch

from bench.attacks.attack import Access
from bench.evaluation.checks.check import CHECKS, Campaign, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import GRADED, doubt, graded, spread
from bench.evaluation.checks.probe import attack
from bench.submission.schema import Flag, Level
from bench.threats import Norm, ThreatModel

Shares = Mapping[Norm, Mapping[float, float]]
"""Per norm, radius to the share of points that stand there."""


class Contradiction(NamedTuple):
    """Two values of curves that cannot both be true."""

    stronger: Norm
    """The norm whose attack broke more than the other admits."""
    radius: float
    weaker: Norm
    at: float
    excess: float
    """Share of points by which the weaker attack overstates robustness at least."""


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Hold the curves against each other, then let each norm's own attacks break what other norms' have broken."""
    campaign = evidence.campaign
    if campaign is None:
        return []
    points, (channels, height, width) = len(evidence.labels), evidence.images.shape[1:]
    shares = {
        norm: {float(radius): count / points for radius, count in curve.items()}
        for norm, curve in campaign.curves.items()
    }
    found = []
    worst = max(contradictions(shares, channels * height * width, channels), key=lambda pair: pair.excess, default=None)
    if worst is not None and worst.excess > thresholds["curves"]:
        says = (
            f"The {worst.weaker} curve at {worst.at:g} lies {100 * worst.excess:.1f} points above the {worst.stronger} "
            f"curve at {worst.radius:g}, whose perturbations are all within that distance: an attack has not converged."
        )
        found.append(doubt("cross-norm", Level.WITHHOLD, worst.excess, thresholds["curves"], says))
    for threat in campaign.threats:
        found += _recover(evidence, campaign, threat, thresholds)
    return found


_REACHES = ((Norm.LINF, Norm.L2), (Norm.L2, Norm.LINF), (Norm.L0, Norm.L2))


def _reach(norm: Norm, radius: float, numbers: int, channels: int) -> float:
    """Return how far a perturbation of this size reaches in the norm it is compared in."""
    if norm is Norm.LINF:
        return radius * math.sqrt(numbers)
    return radius if norm is Norm.L2 else math.sqrt(channels * radius)


def contradictions(shares: Shares, numbers: int, channels: int) -> list[Contradiction]:
    """Return every pair of values where an attack leaves more standing than another one's witnesses allow.

    Args:
        shares: curves of one network on the same points.
        numbers: values of an image (channels × height × width).
        channels: of an image; 1 where L0 counts values instead of pixels.
    """
    found = []
    for stronger, weaker in _REACHES:
        for radius, share in shares.get(stronger, {}).items():
            for at, other in shares.get(weaker, {}).items():
                if at >= _reach(stronger, radius, numbers, channels) * (1 - 1e-9) and other > share:
                    found.append(Contradiction(stronger, radius, weaker, at, other - share))
    return found


def _recover(evidence: Evidence, campaign: Campaign, threat: ThreatModel, thresholds: Thresholds) -> list[Flag]:
    """Let the white-box attacks of one norm try points that other norms' witnesses break within its radius."""
    given = campaign.lent.get(threat.norm)
    turns = [turn for turn in campaign.against(threat) if turn.attack.access is Access.WHITE_BOX]
    if given is None or not given.any() or not turns:
        return []
    known = given.nonzero().flatten()
    rows = left = spread(known, thresholds["points"])
    for turn in turns[: int(thresholds["attacks"])]:
        broken = attack(evidence, left, turn.attack, threat, turn.settings) if len(left) else torch.zeros_like(left) > 0
        left = left[~broken]
    share = len(left) / len(rows) * len(known) / len(evidence.labels)
    says = (
        f"{threat}: other norms' witnesses break {len(known)} points, and of {len(rows)} of these the attacks of this "
        f"norm miss {len(left)}; alone they would overstate robust accuracy by about {100 * share:.1f} points."
    )
    return graded("cross-norm", share, thresholds, says)


CHECKS.register("cross-norm")(
    Check(
        name="cross-norm",
        stage=Stage.ATTACKS,
        examine=examine,
        thresholds={
            "curves": "share of points by which two curves may contradict each other",
            "points": "points tried again per norm",
            "attacks": "how many white-box attacks of the cascade try them",
            **GRADED,
        },
        catches="attacks that have not converged, such as C&W at the wrong step size",
        source="this benchmark; 88 % of the comparisons in the data of arXiv:2108.08560 violate it",
    )
)

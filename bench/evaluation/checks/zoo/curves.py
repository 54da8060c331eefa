"""Curves: more room for the adversary never leaves more points standing, and none more than were correct."""

from collections.abc import Mapping
from fractions import Fraction

from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import doubt
from bench.submission.schema import Flag, Level


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Read every curve from the smallest radius to the largest."""
    if evidence.campaign is None:
        return []
    points, found = len(evidence.labels), []
    for norm, curve in evidence.campaign.curves.items():
        rise = steepest_rise({Fraction(0): evidence.correct} | dict(curve)) / points
        if rise > thresholds["rise"]:
            says = (
                f"The {norm} curve rises by {100 * rise:.1f} points: at a larger radius more points stand than at a "
                "smaller one, which no attack that keeps its best result can produce."
            )
            found.append(doubt("curves", Level.WITHHOLD, rise, thresholds["rise"], says))
    return found


def steepest_rise(curve: Mapping[Fraction, int | float]) -> float:
    """Return how far a curve climbs above the lowest value at a smaller radius; 0 if it never rises."""
    values = [curve[radius] for radius in sorted(curve)]
    lowest, rise = values[0], 0.0
    for value in values[1:]:
        rise = max(rise, value - lowest)
        lowest = min(lowest, value)
    return float(rise)


CHECKS.register("curves")(
    Check(
        name="curves",
        stage=Stage.ATTACKS,
        examine=examine,
        thresholds={"rise": "share of points that a curve may rise"},
        catches="attacks that return their last iterate, and robust accuracy above the clean one",
        source="Carlini et al. 2019, arXiv:1902.06705",
    )
)

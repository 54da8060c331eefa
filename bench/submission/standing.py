"""What boards rank by: the points that no verified witness breaks, whoever found it."""

from dataclasses import dataclass

from bench.submission.points import Bits, PointTable
from bench.submission.schema import Result
from bench.threats import Norm


@dataclass(frozen=True, slots=True)
class Standing:
    """How a network stands under one threat model.

    Attributes:
        points: which points have no verified witness within the radius, in the order of the table.
        alone: how many the threat model's own cascade leaves, whatever other attacks found.
    """

    points: Bits
    alone: int

    @property
    def count(self) -> int:
        """The number of points that stand, which ranks."""
        return int(self.points.sum())


def best_known(result: Result, points: PointTable) -> dict[Norm, Standing]:
    """Return how a network stands under every threat model that was attacked, in the protocol's order.

    A witness of any source takes its point away: of this norm's cascade, of another norm's, replayed from the parent,
    or found by a check. All of them are in the distances of ``points``.
    """
    return {
        threat.norm: Standing(points.standing(threat.norm, threat.radius), int(points.robust(threat.norm).sum()))
        for threat in result.threats
    }

"""Every witness of every attack, measured in every norm and kept per point."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool
from torch import Tensor

from bench.evaluation.judge.distances import ceiling, radius_ceiling
from bench.evaluation.judge.verify import Verdict
from bench.tensors import Distances, Flags, Images
from bench.threats import Norm, ThreatModel

POOLED = "pooled"
"""The name under which a point is booked that a witness of another norm's attack broke."""


@dataclass(slots=True)
class Pool:
    """The nearest verified witness of each point, per norm, and which attack broke what.

    Because each witness counts in all three norms, the curves are consistent across norms by construction:
    RA_L2(ε√D) ≤ RA_Linf(ε), and RA_L2(√(k·C)) ≤ RA_L0(k) for C channels.

    Attributes:
        correct: points classified correctly without any perturbation.
        threats: the threat models that points are booked against.
        distance: per norm, the smallest verified perturbation: 0 if misclassified, infinite if none was found.
        witness: per norm, the image at that distance; meaningful where the distance is positive and finite.
        broken: per norm and attack, the points it was the first to break.
    """

    originals: Images
    correct: Flags
    threats: Sequence[ThreatModel]
    distance: dict[Norm, Distances] = field(init=False)
    witness: dict[Norm, Images] = field(init=False)
    broken: dict[Norm, dict[str, Flags]] = field(init=False)

    def __post_init__(self) -> None:
        """Start with nothing found."""
        start = torch.where(self.correct, torch.inf, 0.0)
        self.distance = {norm: start.clone() for norm in Norm}
        self.witness = {norm: self.originals.clone() for norm in Norm}
        self.broken = {threat.norm: {} for threat in self.threats}

    def standing(self, norm: Norm, radius: float) -> Flags:
        """Return which points no witness within ``radius`` breaks."""
        return self.correct & (self.distance[norm] > radius_ceiling(norm, radius))

    def absorb(self, rows: Tensor, candidates: Images, verdict: Verdict, *, attack: str, norm: Norm) -> None:
        """Take in verified candidates.

        Args:
            rows: positions of the candidates' points.
            candidates: the images, one a row.
            verdict: what verification said of them.
            attack: who proposed them.
            norm: of the cascade that ran the attack.
        """
        before = {threat.norm: self._within(threat) for threat in self.threats}
        for each in Norm:
            better = verdict.fooled & (verdict.distances[each] < self.distance[each][rows])
            self.distance[each][rows[better]] = verdict.distances[each][better]
            self.witness[each][rows[better]] = candidates[better]
        self._book_new(before, attack, norm)

    def merge(self, other: "Pool", *, attack: str, norm: Norm) -> None:
        """Take in the witnesses of another pool over the same points, verified on the same model."""
        before = {threat.norm: self._within(threat) for threat in self.threats}
        for each in Norm:
            better = other.correct & (other.distance[each] < self.distance[each])
            self.distance[each][better] = other.distance[each][better]
            self.witness[each][better] = other.witness[each][better]
        self._book_new(before, attack, norm)

    def _book_new(self, before: Mapping[Norm, Flags], attack: str, norm: Norm) -> None:
        for threat in self.threats:
            newly = self._within(threat) & ~before[threat.norm]
            self.book(threat.norm, attack if threat.norm is norm else POOLED, newly)

    def book(self, norm: Norm, attack: str, points: Flags) -> None:
        """Book points as broken by an attack."""
        ledger = self.broken[norm]
        ledger[attack] = points | ledger[attack] if attack in ledger else points.clone()

    def counts(self, norm: Norm, radii: Sequence[float]) -> list[int]:
        """Return how many points stand at each radius: a robustness curve."""
        return [int(self.standing(norm, radius).sum()) for radius in radii]

    def _within(self, threat: ThreatModel) -> Bool[Tensor, " batch"]:
        return self.correct & (self.distance[threat.norm] <= ceiling(threat))


def total_broken(ledger: Mapping[str, Flags]) -> int:
    """Return the number of points in a ledger; no point is booked twice."""
    return sum(int(points.sum()) for points in ledger.values())

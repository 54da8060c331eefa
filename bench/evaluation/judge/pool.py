"""Every witness of every attack, measured in every norm and kept per point."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from bench.evaluation.judge.verify import Verdict
from bench.evaluation.judge.witnesses import Witnesses
from bench.tensors import Distances, Flags, Images
from bench.threats import Norm, ThreatModel, surface

_AT_ONCE = 64
"""Witnesses that go from one pool to another together."""


@dataclass(slots=True)
class Pool:
    """The nearest verified witness of each point, per norm, and what each cascade broke by itself.

    Because each witness counts in all three norms, the curves are consistent across norms by construction:
    RA_L2(ε√D) ≤ RA_Linf(ε), and RA_L2(√(k·C)) ≤ RA_L0(k) for C channels. What a cascade attacks and books hangs on its
    own witnesses alone, so that a threat model gives the same account whatever is attacked beside it.

    Attributes:
        originals: the clean images.
        correct: points classified correctly without any perturbation.
        threats: the threat models that points are booked against.
        distance: per norm, the smallest verified perturbation: 0 if misclassified, infinite if none was found.
        alone: per norm attacked, the same distance over the witnesses of that norm's own cascade.
        broken: per norm and attack, the points it was the first of its cascade to break.
    """

    originals: Images
    correct: Flags
    threats: Sequence[ThreatModel]
    distance: dict[Norm, Distances] = field(init=False)
    alone: dict[Norm, Distances] = field(init=False)
    broken: dict[Norm, dict[str, Flags]] = field(init=False)
    _witnesses: Witnesses = field(init=False)

    def __post_init__(self) -> None:
        """Start with nothing found."""
        start = torch.where(self.correct, torch.inf, 0.0)
        self.distance = {norm: start.clone() for norm in Norm}
        self.alone = {threat.norm: start.clone() for threat in self.threats}
        self.broken = {threat.norm: {} for threat in self.threats}
        self._witnesses = Witnesses(tuple(self.originals.shape[1:]), self.originals.device)

    def standing(self, norm: Norm, radius: float) -> Flags:
        """Return which points no witness within ``radius`` breaks, whoever found it."""
        return self.correct & (self.distance[norm] > surface(norm, radius))

    def withstanding(self, norm: Norm, radius: float) -> Flags:
        """Return which points no witness of this norm's own cascade within ``radius`` breaks."""
        return self.correct & (self.alone[norm] > surface(norm, radius))

    def witnessed(self, norm: Norm) -> Flags:
        """Return which points have a witness, wherever it lies."""
        return self.correct & self.distance[norm].isfinite()

    def witnesses(self, norm: Norm, rows: Tensor) -> Images:
        """Return the nearest witness of each of these points, all of which have one."""
        return self._witnesses.get(norm, rows)

    def lent(self, threat: ThreatModel) -> Flags:
        """Return which points withstand the threat model's own cascade and fall to a witness from elsewhere."""
        radius = float(threat.epsilon)
        return self.withstanding(threat.norm, radius) & ~self.standing(threat.norm, radius)

    def absorb(self, rows: Tensor, candidates: Images, verdict: Verdict) -> None:
        """Take in verified candidates.

        Args:
            rows: positions of the candidates' points.
            candidates: the images, one a row.
            verdict: what verification said of them.
        """
        for each in Norm:
            better = verdict.fooled & (verdict.distances[each] < self.distance[each][rows])
            self.distance[each][rows[better]] = verdict.distances[each][better]
            self._witnesses.put(each, rows[better], candidates[better])

    def credit(self, rows: Tensor, candidates: Images, verdict: Verdict, *, attack: str, threat: ThreatModel) -> None:
        """Take in verified candidates of an attack of this threat model's cascade, and book what it broke."""
        self.absorb(rows, candidates, verdict)
        norm, radius = threat.norm, float(threat.epsilon)
        before, sizes = self.withstanding(norm, radius), verdict.distances[norm]
        better = verdict.fooled & (sizes < self.alone[norm][rows])
        self.alone[norm][rows[better]] = sizes[better]
        self.book(norm, attack, before & ~self.withstanding(norm, radius))

    def merge(self, other: "Pool") -> None:
        """Take in the witnesses of another pool over the same points, verified on the same model."""
        for each in Norm:
            better = other.correct & (other.distance[each] < self.distance[each])
            self.distance[each][better] = other.distance[each][better]
            for rows in better.nonzero().flatten().split(_AT_ONCE):
                self._witnesses.put(each, rows, other.witnesses(each, rows))

    def book(self, norm: Norm, attack: str, points: Flags) -> None:
        """Book points as broken by an attack."""
        ledger = self.broken[norm]
        ledger[attack] = points | ledger[attack] if attack in ledger else points.clone()

    def counts(self, norm: Norm, radii: Sequence[float]) -> list[int]:
        """Return how many points stand at each radius: a robustness curve."""
        return [int(self.standing(norm, radius).sum()) for radius in radii]


def total_broken(ledger: Mapping[str, Flags]) -> int:
    """Return the number of points in a ledger; no point is booked twice."""
    return sum(int(points.sum()) for points in ledger.values())

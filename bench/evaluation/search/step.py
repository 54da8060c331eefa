"""One attack of an evaluation, as the plan has it and as checks look at it."""

from dataclasses import dataclass

from bench.attacks.attack import Attack, Passes, Settings
from bench.threats import ThreatModel


@dataclass(frozen=True, slots=True)
class Step:
    """One attack of a cascade."""

    attack: Attack
    threat: ThreatModel
    settings: Settings

    def passes(self, classes: int) -> Passes:
        """Return the most passes that a point costs which survives to the end."""
        total = Passes(0, 0)
        for turn in self.attack.rounds(self.settings, self.threat, classes):
            total += turn.passes
        return total

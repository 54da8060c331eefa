"""The contract of an attack: what it is told, what it may spend, what it returns.

An attack is a pure function of (model, points, threat, settings, draws) that returns one candidate image per point.
It runs in *rounds* (one target class, one rung of a ladder, one restart); between rounds the harness verifies the
candidates and drops the points that no longer stand, so batches stay full. An attack never counts its own success.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias, runtime_checkable

from bench.attacks.draws import Draws
from bench.registry import Registry
from bench.tensors import Classifier, Distances, Ids, Images, Labels, Logits
from bench.threats import Norm, ThreatModel

Settings: TypeAlias = Mapping[str, int | float | str | tuple[int, ...]]
"""What the protocol says about one attack: steps, queries, grids. Code knows mechanisms, never these numbers."""


class Kind(StrEnum):
    """What an attack looks for."""

    FIXED_BUDGET = "fixed-budget"
    """Any misclassified image inside the ball; a candidate outside it is rejected and recorded."""
    MINIMUM_NORM = "minimum-norm"
    """The nearest misclassified image; a candidate beyond epsilon is no fault, it feeds the curves."""


class Access(StrEnum):
    """What an attack uses of the model."""

    WHITE_BOX = "white-box"
    BLACK_BOX = "black-box"
    """Forward passes only."""


@dataclass(frozen=True, slots=True)
class Passes:
    """The most passes that one point may cost."""

    forwards: int
    backwards: int

    def __add__(self, other: "Passes") -> "Passes":
        """Add forward to forward and backward to backward passes."""
        return Passes(self.forwards + other.forwards, self.backwards + other.backwards)


@dataclass(frozen=True, slots=True)
class Round:
    """One pass of an attack over the points that still stand.

    Attributes:
        radius: a point takes part while its known distance exceeds this, in the threat model's unit.
        passes: the most a point may cost in this round; the harness enforces it.
    """

    index: int
    radius: float
    passes: Passes


@dataclass(frozen=True, slots=True)
class Points:
    """The points that an attack works on.

    Attributes:
        logits: of the clean images, so that no attack computes them again.
        distance: smallest verified perturbation known so far, in the norm of the threat model; infinity where none is
            known, or none that the attack says it looks at.
    """

    images: Images
    labels: Labels
    ids: Ids
    logits: Logits
    distance: Distances

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.labels)


@runtime_checkable
class Propose(Protocol):
    """The function behind an attack."""

    def __call__(
        self, model: Classifier, points: Points, threat: ThreatModel, settings: Settings, draws: Draws
    ) -> Images:
        """Return one candidate per point, shaped like ``points.images``, inside [0, 1].

        Return the clean image where nothing was found. Use ``draws`` alone for randomness (``draws.round`` is the
        index of the round), leave the arguments as they are, keep every computation independent of batch mates.
        """
        ...


@dataclass(frozen=True, slots=True)
class Limit:
    """What an attack does not do on images of one size, though its settings ask for it.

    Attributes:
        says: half a sentence, with the figures.
        fatal: it gives no number at all.
    """

    says: str
    fatal: bool = False


def unlimited(settings: Settings, shape: tuple[int, int, int]) -> Limit | None:
    """Return no limit; of an attack that does what its settings say on images of any size."""
    del settings, shape
    return None


def unchanged(settings: Settings, radius: float) -> Settings | None:
    """Return the settings; of an attack that looks no farther than the radius, or cannot tell how far it does."""
    del radius
    return settings


def grid_within(settings: Settings, radius: float) -> Settings | None:
    """Return the settings with the numbers of ``grid`` up to a radius; None where there is none."""
    grid = settings["grid"]
    assert isinstance(grid, tuple)
    kept = tuple(step for step in grid if step <= radius)
    return {**settings, "grid": kept} if kept else None


@dataclass(frozen=True, slots=True)
class Attack:
    """A registered attack.

    Attributes:
        rounds: (settings, threat, number of classes) to the rounds that this attack makes, in order.
        settings: the keys a protocol must give, each with what it means.
        source: the paper, with its arXiv id.
        limit: (settings, channels × height × width) to what the attack leaves undone on such images, if anything.
        alike: rounds differ in their index alone, so the harness may run several side by side to keep batches full;
            points are then repeated, and ``draws.round`` holds one index per point.
        looks_up_to: settings to the largest known distance that the attack tells from no distance; None where it never
            looks at one, so that what it proposes hangs on the point alone.
        within: (settings, radius) to settings under which it does the same, but looks for nothing beyond the radius;
            None where it then looks for nothing.
    """

    name: str
    propose: Propose
    rounds: Callable[[Settings, ThreatModel, int], tuple[Round, ...]]
    norms: frozenset[Norm]
    kind: Kind
    access: Access
    settings: Mapping[str, str]
    source: str
    alike: bool = False
    limit: Callable[[Settings, tuple[int, int, int]], Limit | None] = unlimited
    looks_up_to: Callable[[Settings], float] | None = None
    within: Callable[[Settings, float], Settings | None] = unchanged


ATTACKS: Registry[Attack] = Registry("attack", "bench.attacks.zoo", "prunebench.attacks")

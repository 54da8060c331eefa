"""The contract of a reliability check: what it may look at, what it returns.

A check is a function of (evidence, thresholds) that returns the doubts it has, as flags. It counts every pass it makes
by asking the model through ``evidence.model``, and it never changes what it looks at; the one exception is a witness
that a check finds: it joins the pool, because every broken point counts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Literal, NamedTuple, TypeAlias

from torch import nn

from bench.attacks.attack import Attack, Settings
from bench.data.dataset import EvalSet
from bench.evaluation.judge.pool import Pool
from bench.evaluation.search.cascade import Tally
from bench.evaluation.search.meter import Meter
from bench.evaluation.search.step import Step
from bench.pruning.measure import Measured
from bench.registry import Registry
from bench.submission.schema import Flag
from bench.tensors import Flags, Ids, Images, Labels, Logits
from bench.threats import Norm, ThreatModel

Thresholds: TypeAlias = Mapping[str, float]
"""What the protocol says about one check. Code knows mechanisms, never these numbers."""

Rebuild: TypeAlias = Callable[[], nn.Module]
"""Makes the attacked network again from its reference alone; may be sent to another process."""


class Sides(NamedTuple):
    """Points like each other: those of the rules, and those that the rules hold out."""

    inside: EvalSet
    outside: EvalSet


class Stage(StrEnum):
    """When a check looks, and what its gravest doubt does."""

    ADMISSION = "admission"
    """Before any attack; a doubt that withholds the number refuses the model."""
    PRUNING = "pruning"
    """At the network itself: is it pruned as claimed, and is it alive?"""
    ATTACKS = "attacks"
    """After the attacks: did they do what they should?"""


@dataclass(frozen=True, slots=True)
class Claim:
    """What is claimed about the pruning of a network.

    Attributes:
        target: share of prunable weights that should be zero; None where nothing is claimed.
        parent: reference of the dense parent; None where it is not named.
        parent_is_measured: the parent's own result under the same rules is at hand.
    """

    structure: Literal["dense", "unstructured", "2of4", "channel"] = "dense"
    target: Fraction | None = None
    parent: str | None = None
    parent_is_measured: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """One attack of a cascade as it ran.

    Attributes:
        broken: points that it was the first to break.
    """

    attack: Attack
    threat: ThreatModel
    settings: Settings
    tally: Tally
    broken: int


@dataclass(frozen=True, slots=True)
class Campaign:
    """What the attacks did.

    Attributes:
        turns: in the order they ran.
        lent: per norm, points that only witnesses of other norms' attacks had broken when the cascades ended.
        transferred: per norm, number of points that stood then and fell when the scenarios were measured.
        curves: per norm, radius to the number of points that stand there.
    """

    pool: Pool
    turns: tuple[Turn, ...]
    lent: Mapping[Norm, Flags]
    transferred: Mapping[Norm, int]
    curves: Mapping[Norm, Mapping[Fraction, int]]

    @property
    def threats(self) -> tuple[ThreatModel, ...]:
        """The threat models that were attacked, in order."""
        return tuple(dict.fromkeys(turn.threat for turn in self.turns))

    def against(self, threat: ThreatModel) -> tuple[Turn, ...]:
        """Return the turns of one cascade."""
        return tuple(turn for turn in self.turns if turn.threat == threat)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that a check may look at.

    Attributes:
        network: the model under suspicion, for a look at its modules and tensors.
        model: the same as a function, with its passes counted.
        parent: the dense network it came from, on the same device; None for a dense model or where it is unknown.
        parent_model: the parent as a function, counted.
        logits: of the clean images.
        seed: of the checks' own random numbers; never that of the attacks.
        heard: warnings that libraries gave during the run.
        rebuild: how to make the network again in another process; None where it has no reference.
        planned: the attacks of the rules that the evaluation is going to run, in order.
        held_out: loads the points of the rules and those that they hold out; None where they hold out none.
    """

    network: nn.Module
    model: Meter
    images: Images
    labels: Labels
    ids: Ids
    logits: Logits
    seed: int
    parent: nn.Module | None = None
    parent_model: Meter | None = None
    claim: Claim = field(default_factory=Claim)
    measured: Measured | None = None
    campaign: Campaign | None = None
    heard: Sequence[str] = ()
    rebuild: Rebuild | None = None
    planned: Sequence[Step] = ()
    held_out: Callable[[], Sides] | None = None

    @property
    def classes(self) -> int:
        """Number of logits."""
        return self.logits.shape[1]

    @property
    def correct(self) -> int:
        """Number of points classified correctly when nobody attacks."""
        return int((self.logits.argmax(dim=1) == self.labels).sum())


Examine: TypeAlias = Callable[[Evidence, Thresholds], list[Flag]]


@dataclass(frozen=True, slots=True)
class Check:
    """A registered check.

    Attributes:
        thresholds: the keys a protocol must give, each with what it means.
        catches: what is wrong with a result that it flags.
        source: who asked for it.
    """

    name: str
    stage: Stage
    examine: Examine
    thresholds: Mapping[str, str]
    catches: str
    source: str


CHECKS: Registry[Check] = Registry("check", "bench.evaluation.checks.zoo")

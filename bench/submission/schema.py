"""The files of a submission that its authors bring: result.json, submission.toml and the arrays of points.npz."""

import re
from datetime import date
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from bench.submission.fields import (
    Count,
    Exact,
    Figure,
    Frozen,
    Https,
    Line,
    Positive,
    Seconds,
    Sentence,
    Sha256,
    Slug,
    Title,
    Words,
)
from bench.threats import Norm

MOST_LAYERS = 1000
MOST_POINTS = 200_000
"""Four times the largest validation set of the field."""
Term = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,59}$")]
"""Names one fact of an environment."""
_WRITTEN = re.compile(r"([a-z0-9-]+) version \d+ \(bench prune\)")
"""The method that `bench prune` writes beside a file, as ``evaluation/plan/manifest.py`` spells it."""


class ProtocolStamp(Frozen):
    """Under which rules a result was measured."""

    name: Slug
    digest: Sha256
    preset: Slug = "standard"
    """Whose budgets; no run under another than ``standard`` is one under the rules."""


class Normalisation(Frozen):
    """What is done to a pixel before the network sees it: (pixel - mean) / std, one value or one per channel."""

    mean: Annotated[tuple[Figure, ...], Field(min_length=1, max_length=32)]
    std: Annotated[tuple[Annotated[Figure, Field(gt=0)], ...], Field(min_length=1, max_length=32)]


class ModelRecord(Frozen):
    """Which network was attacked."""

    ref: Line
    """As typed, without local paths."""
    architecture: Title
    parent: Line | None
    """Reference of the dense model it came from; null for a dense one."""
    weights_sha256: Sha256
    """Over names, shapes, types and bytes of every tensor that was attacked."""
    parent_sha256: Sha256 | None
    """The same over the dense parent."""
    file_sha256: Sha256 | None
    """Of the weights file that was loaded, where there was one."""
    normalisation: Normalisation | None
    """As asked for with a ``.safetensors`` file; null where the source of the model brings its own."""
    parent_architecture: Line | None = None
    """Of a parent that is a ``.safetensors`` file, where it is not the network's own."""
    parent_normalisation: Normalisation | None = None
    """Likewise."""
    parameters: Positive


class LayerRecord(Frozen):
    """One prunable layer."""

    name: Line
    shape: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=8)]
    weights: Positive
    """In the dense parent."""
    zeros: Count
    """Exact zeros, and weights of removed channels."""
    macs: Count
    """Multiply-accumulates per image in the parent."""


class ClaimRecord(Frozen):
    """What the makers of a network that came pruned say of it; what was measured stands beside it in the record."""

    sparsity: Exact | None
    """Share of prunable weights that are zero; null where nothing was said."""
    structure: Literal["unstructured", "2of4", "channel"] | None


class PruningRecord(Frozen):
    """What was pruned, as measured on the tensors that were attacked."""

    recipe: Slug | None
    """One of this benchmark's, so that anyone can prune again; null where the network came pruned by a method."""
    method: Title | None = None
    """How others pruned it, in their words; null where a recipe says it."""
    version: Count
    """Of the recipe; 0 with a method."""
    structure: Literal["dense", "unstructured", "2of4", "channel"]
    scope: Literal["none", "global", "layer"]
    """Of the recipe's ranking; ``none`` with a method."""
    regime: Slug | None
    """What followed the pruning; null where a method does not say."""
    target: Exact | None
    """Share of prunable weights that a recipe was asked to make zero; null where nothing was asked."""
    keep: Annotated[tuple[Line, ...], Field(max_length=MOST_LAYERS)] = ()
    """Layers that a recipe was asked to leave whole, as they were called."""
    claim: ClaimRecord | None = None
    """Goes with a method alone."""
    prunable: Positive
    """Conv2d, Linear and attention weights that a forward pass of the parent reaches."""
    zeros: Count
    connected: Count
    """Non-zero prunable weights on a path from the image to the logits; the others can do nothing."""
    nonzero: Count
    """Non-zero parameters of the whole network, biases and affine terms included, unreached ones left out."""
    parameters: Positive
    """Reached parameters of the whole parent."""
    macs: Count
    """Of the network that was attacked, per image."""
    nonzero_macs: Count
    """Theoretical: each layer's share of non-zero weights times its multiply-accumulates."""
    parent_macs: Count
    bytes_plain: Count
    """Of the state as safetensors."""
    bytes_packed: Count
    """Bit masks and non-zero values in one safetensors file, compressed with zstd level 3."""
    collapsed_layers: Annotated[tuple[Line, ...], Field(max_length=MOST_LAYERS)]
    """Prunable layers without one non-zero weight."""
    layers: Annotated[tuple[LayerRecord, ...], Field(min_length=1, max_length=MOST_LAYERS)]

    @property
    def how(self) -> str:
        """The recipe, or the method of others in their words."""
        return self.recipe or self.method or "unknown"

    @property
    def made(self) -> bool:
        """A recipe made the network here, from a dense one."""
        return self.recipe not in {None, "dense"}

    @property
    def learned(self) -> bool:
        """It learned after a recipe had pruned it; another processor learns other weights."""
        return self.made and self.regime not in {None, "one-shot"}

    @property
    def criterion(self) -> str | None:
        """The recipe that ran, or the one that `bench prune` wrote down for its file; None for other methods."""
        return written[1] if (written := _WRITTEN.fullmatch(self.method or "")) else self.recipe

    @property
    def asked(self) -> str | None:
        """The share of prunable weights that was to be zero, asked of a recipe or claimed of a file."""
        return self.claim.sparsity if self.claim is not None else self.target


class DataRecord(Frozen):
    """On which points."""

    name: Slug
    split: Slug
    points: Annotated[int, Field(ge=1, le=MOST_POINTS)]
    digest: Sha256
    classes: Annotated[tuple[Line, ...], Field(min_length=1, max_length=100_000)]


class CleanRecord(Frozen):
    """Unperturbed accuracy."""

    correct: Count


class AttackRecord(Frozen):
    """What one attack did to the points that still stood when it ran."""

    name: Slug
    attempted: Count
    broken: Count
    rejected: Count
    """Candidates that fooled the model but lay outside the ball."""
    forwards: Count
    """Images passed forward, all rounds together."""
    backwards: Count


class ThreatRecord(Frozen):
    """The cascade of one threat model, in order; correct = robust + the sum over broken, and best_known ≤ robust."""

    norm: Norm
    epsilon: Exact
    robust: Count
    """Points that are correct and survive every attack of this cascade: the same whatever else was attacked."""
    best_known: Count
    """Points that are correct and have no verified witness within the radius, whoever found it: this cascade, one of
    another norm, a replay from the parent, or a check. Boards rank by it."""
    attacks: Annotated[tuple[AttackRecord, ...], Field(max_length=64)]

    @property
    def radius(self) -> Fraction:
        """The exact radius."""
        return Fraction(self.epsilon)


class CurveRecord(Frozen):
    """A robustness curve: at each radius, how many points have a larger distance."""

    epsilon: Annotated[tuple[Exact, ...], Field(max_length=1000)]
    robust: Annotated[tuple[Count, ...], Field(max_length=1000)]


class ScenarioRecord(Frozen):
    """What is left standing when the adversary knows less, per norm at the protocol's radius."""

    robust: dict[Norm, Count]
    forwards: Count
    parent: dict[Norm, Count] | None = None
    """Of these points, how many the dense parent's own run leaves standing, as best known; goes with ``transfer``
    alone."""


class Level(StrEnum):
    """What a flag does to a result."""

    INFORM = "inform"
    WARN = "warn"
    WITHHOLD = "withhold"
    """The number is not published."""


class Flag(Frozen):
    """A recorded doubt."""

    check: Slug
    level: Level
    figure: Figure | None
    threshold: Figure | None
    says: Sentence


Quartiles = tuple[Seconds, Seconds, Seconds]
"""First quartile, median and third quartile of several runs."""


class PassTimes(Frozen):
    """Seconds per image."""

    forward: Quartiles
    both: Quartiles
    """Forward, and back to the image: what an attack spends on a step."""


class LatencyRecord(Frozen):
    """How long the network takes on the machine of the run; a smaller one beside its parent, in turns."""

    clock: Literal["processor", "wall"]
    """Seconds of one thread of a processor, or of the clock where an accelerator works."""
    batch: Positive
    repeats: Positive
    parent: PassTimes | None
    """Null where no channels were removed: zeros do not make a network faster."""
    network: PassTimes

    @property
    def times_faster(self) -> float | None:
        """How many times faster than its parent the network is attacked; None where no channels were removed."""
        return None if self.parent is None else self.parent.both[1] / self.network.both[1]


class MachineRecord(Frozen):
    """What the seconds were spent on."""

    processor: Line | None
    """Its model, in the words of the system; null where that does not tell."""
    accelerator: Line | None
    """Likewise; null where a processor computed."""
    threads: Positive | None


class EnergyRecord(Frozen):
    """What one meter of the machine counted while the evaluation ran, other work on the machine included."""

    meter: Literal["rapl", "nvml"]
    """The packages of the processor, or the accelerator that computed."""
    joules: Annotated[float, Field(ge=0, le=1e15)]


class CostRecord(Frozen):
    """What the evaluation spent, checks and verification included.

    All but the passes need not be found again by another run of the same cell.
    """

    seconds: Annotated[float, Field(ge=0, le=1e12)]
    machine: MachineRecord
    """Of the last part of a run that was interrupted."""
    energy: Annotated[tuple[EnergyRecord, ...], Field(max_length=2)] = ()
    """By meter, from the first attack on; none where a meter cannot be read, or where a part of the run came before."""
    latency: LatencyRecord | None
    """Null in records that were converted."""
    forwards: Count
    backwards: Count


class Result(Frozen):
    """result.json: what the machine measured."""

    schema_: Annotated[Literal["bench.result/2"], Field(alias="schema")]
    converted: Literal["bench.result/1"] | None = None
    """What the record was before; its cascades left out points that a witness of another norm had broken, so it can be
    read and not be submitted."""
    standard: bool
    deviations: Annotated[tuple[Line, ...], Field(max_length=64)]
    """Why this run is not a standard one; such a result cannot be submitted."""
    protocol: ProtocolStamp
    model: ModelRecord
    pruning: PruningRecord
    data: DataRecord
    clean: CleanRecord
    threats: Annotated[tuple[ThreatRecord, ...], Field(min_length=1, max_length=16)]
    """Those of the protocol that were attacked, in its order; each has a board of its own."""
    curves: dict[Norm, CurveRecord]
    scenarios: Annotated[dict[Slug, ScenarioRecord], Field(max_length=16)]
    flags: Annotated[tuple[Flag, ...], Field(max_length=64)]
    collapsed: bool
    """The clean accuracy says that nothing is left to attack; never ranked. Nothing is said of fewer than 50 points."""
    seed: Count
    engine: Literal["native", "reference"]
    batch_size: Positive | None
    """Where verdicts may depend on it; null where they do not."""
    environment: Annotated[dict[Term, Line], Field(max_length=64)]
    cost: CostRecord

    @property
    def preliminary(self) -> bool:
        """Tell whether another budget than that of the rules was spent; a deviation says how far off that may be."""
        return self.protocol.preset != "standard"

    def threat(self, norm: Norm) -> ThreatRecord | None:
        """Return the record of this norm, if it was measured."""
        return next((threat for threat in self.threats if threat.norm is norm), None)


class Weights(Frozen):
    """Where the weights are, pinned."""

    locator: Line
    """An https address of a file that stays what it is, ``weights.safetensors`` for one in the entry's own folder, or
    the reference and recipe that rebuild them."""
    sha256: Sha256
    bytes: Positive

    @property
    def address(self) -> str | None:
        """The address that the locator is; None for one in words."""
        return self.locator if "://" in self.locator else None


class Submission(Frozen):
    """submission.toml: what people say."""

    schema_: Annotated[Literal["bench.submission/1"], Field(alias="schema")]
    id: Slug
    """Equals the name of the folder."""
    name: Title
    authors: Annotated[tuple[Title, ...], Field(max_length=50)]
    date: date
    paper: Https | None = None
    method: Title
    description: Words = ""
    extra_data: bool
    """Trained on more than the data set's own training split."""
    licence: Title
    weights: Weights
    supersedes: Slug | None = None
    parent: Slug | None = None
    """Entry of the dense network that it was pruned from, where that is somebody else's; one's own is found by its
    digest."""


class VerificationLevel(StrEnum):
    """How far a result has been checked by others, lowest first."""

    CLAIMED = "claimed"
    SELF_REPORTED = "self-reported"
    CHECKED = "checked"
    RE_RUN = "re-run"
    REPRODUCED = "reproduced"

    @property
    def ranked(self) -> bool:
        """Only results that somebody else measured again carry a rank."""
        return self in {VerificationLevel.RE_RUN, VerificationLevel.REPRODUCED}

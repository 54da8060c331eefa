"""What a request means under a protocol: the cell, its attacks, its deviations and its predicted cost."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from bench.attacks.attack import ATTACKS, Access, Attack, Passes, Settings
from bench.attacks.reference import covers, reference
from bench.data.dataset import DataSource
from bench.errors import ProtocolError, UsageError
from bench.evaluation.checks.runner import chosen as checks_of
from bench.evaluation.plan.naming import digest, entry_name, model_name
from bench.evaluation.plan.source import source_of
from bench.evaluation.plan.words import hold_share, hold_words
from bench.evaluation.search.step import Step
from bench.models.architecture import ARCHITECTURES
from bench.models.source import SOURCES, ModelRef
from bench.protocol.load import STANDARD, Protocol, Threat, load, names
from bench.pruning.recipe import RECIPES, Structure
from bench.pruning.regime import REGIMES
from bench.registry import Registry, unknown
from bench.threats import Norm, ThreatModel

Engine = Literal["native", "reference"]

UNTOLD = "not told"
"""The method of a network that came pruned where nobody says how."""

_LONGEST = 40
"""Characters of a method in the name of an entry."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a network comes from that was pruned before it came here: what is told of it, to be measured.

    Attributes:
        parent: the dense network that was pruned; None where nobody names one, and the architecture stands in.
        method: how, in the words of those who pruned it.
        sparsity: share of prunable weights that should be zero; None where nothing is claimed.
        structure: the pattern that should be found; None where nothing is claimed.
        regime: what followed the pruning; None where nobody says.
        weights, parent_weights: digests of the network and of its parent, where whoever pruned it wrote them down.
    """

    parent: ModelRef | None = None
    method: str = UNTOLD
    sparsity: Fraction | None = None
    structure: Literal["unstructured", "2of4", "channel"] | None = None
    regime: str | None = None
    weights: str | None = None
    parent_weights: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for.

    Attributes:
        recipe: how to prune here; ``dense`` leaves the network as it came.
        sparsity: share of prunable weights to remove; None for ``dense``.
        keep: layers that a recipe leaves whole, by name.
        origin: what is told of a network that came pruned; goes with ``dense`` alone.
        norms: threat models to run, by norm; None runs all of the protocol.
        points: ids from (inclusive) and to (exclusive); None takes the protocol's.
        limit: only so many of the points.
        seed: None takes the protocol's.
        memory: bytes that the run may take where it computes; None takes what suits the device.
        parent_run: folder of the dense parent's run; None looks beside ``out``.
        parent_first: measure the dense parent, too, where no run of it is at hand.
    """

    model: ModelRef
    protocol: Protocol
    recipe: str = "dense"
    sparsity: Fraction | None = None
    regime: str = "one-shot"
    keep: tuple[str, ...] = ()
    origin: Origin | None = None
    norms: tuple[Norm, ...] | None = None
    points: tuple[int, int] | None = None
    limit: int | None = None
    seed: int | None = None
    engine: Engine = "native"
    batch_size: int | None = None
    memory: int | None = None
    device: str = "auto"
    out: Path | None = None
    parent_run: Path | None = None
    parent_first: bool = True
    resume: bool = True

    @property
    def dense(self) -> bool:
        """Nothing was pruned, neither here nor before."""
        return self.origin is None and RECIPES[self.recipe].structure is Structure.DENSE

    @property
    def learns(self) -> bool:
        """The network learns here, after a recipe has pruned it."""
        return RECIPES[self.recipe].structure is not Structure.DENSE and self.regime != "one-shot"

    @property
    def refs(self) -> tuple[ModelRef, ...]:
        """The network, and the dense parent that it is told to come from, if any is."""
        parent = self.origin.parent if self.origin else None
        return (self.model,) if parent is None else (self.model, parent)


@dataclass(frozen=True, slots=True)
class Plan:
    """One evaluation, settled: everything that ``bench evaluate --dry-run`` prints.

    Attributes:
        ids: of the points, in order.
        steps: attacks in the order they run.
        source: the data set of the points.
        deviations: why the run is not a standard one.
        name: of the entry; also the folder it is written to.
    """

    request: Request
    protocol: Protocol
    source: DataSource
    threats: tuple[ThreatModel, ...]
    ids: tuple[int, ...]
    steps: tuple[Step, ...]
    seed: int
    deviations: tuple[str, ...]
    name: str
    out: Path

    @property
    def classes(self) -> int:
        """Number of classes of the data set."""
        return len(self.source.classes)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What its attacks leave undone on images of this size, and a normalisation that may have been forgotten.

        Networks for grey images hardly ever have one.
        """
        ref, raw = self.request.model, tuple[str, ...]()
        if ref.architecture in ARCHITECTURES and self.source.shape[0] > 1 and (ref.mean, ref.std) == ((0.0,), (1.0,)):
            raw = (
                f"{ref} gets images as they are, in [0, 1]; were they normalised in training, say --mean and --std.",
            )
        return raw + remarks_on(self.steps, self.source.shape)

    @property
    def passes(self) -> Passes:
        """The most passes per point, all attacks together, the clean pass included."""
        total = Passes(1, 0)
        for step in self.steps:
            total += step.passes(self.classes)
        return total


def _hold_words(request: Request, source: DataSource) -> None:
    origin = request.origin
    hold_words(
        map(str, request.refs), request.model.architecture, origin.method if origin else None, tuple(source.classes)
    )


def plan(request: Request) -> Plan:
    """Settle a request; loads no weights and no image, and reads a file of weights only to name the entry.

    Of data of one's own it reads the list of classes.

    Raises:
        UsageError: if a name is unknown or options do not fit together.
        ProtocolError: if the protocol asks for what no component offers.
        InputError: if a list of classes is not what it should be.
    """
    protocol = request.protocol
    source = source_of(protocol)
    checks_of(protocol)
    check_recipe(request.recipe, request.sparsity)
    if request.origin is not None and request.recipe != "dense":
        raise UsageError(
            f"{request.recipe} prunes the network here, so the network itself is the parent; leave out --recipe for a "
            "network that came pruned, or leave out what is told of its pruning."
        )
    if request.origin is not None and request.origin.sparsity is not None:
        hold_share(request.origin.sparsity)
    _hold_words(request, source)
    if RECIPES[request.recipe].structure is Structure.TWO_OF_FOUR:
        request = replace(request, sparsity=Fraction(1, 2))  # the target even where it goes without saying
    chosen = _chosen(request)
    find = ATTACKS.__getitem__ if request.engine == "native" else _audited
    steps = tuple(step for threat in chosen for step in steps_of(protocol, threat, source.shape, find))
    name = _name(request)
    return Plan(
        request=request,
        protocol=protocol,
        source=source,
        threats=tuple(threat.model for threat in chosen),
        ids=_ids(request),
        steps=steps,
        seed=protocol.seed if request.seed is None else request.seed,
        deviations=tuple(_deviations(request)),
        name=name,
        out=request.out or Path("runs") / protocol.name / name,
    )


def check_recipe(recipe: str, sparsity: Fraction | None) -> None:
    """Refuse a recipe and a sparsity that do not go together."""
    structure = RECIPES[recipe].structure
    if structure is Structure.DENSE and sparsity is not None:
        raise UsageError(f"{recipe} removes nothing; leave out --sparsity and --compression.")
    if structure is Structure.TWO_OF_FOUR and sparsity not in {None, Fraction(1, 2)}:
        raise UsageError(f"{recipe} always removes one half of the eligible weights; got sparsity {sparsity}.")
    if structure in {Structure.UNSTRUCTURED, Structure.CHANNEL}:
        if sparsity is None:
            raise UsageError(f"{recipe} needs --sparsity (a share such as 0.9) or --compression (a rate such as 10).")
        hold_share(sparsity)


def _audited(name: str) -> Attack:
    # what the reference package lacks is ours in both engines
    return reference(name) if covers(name) else ATTACKS[name]


def steps_of(
    protocol: Protocol, threat: Threat, shape: tuple[int, int, int], find: Callable[[str], Attack]
) -> list[Step]:
    """Return the cascade of a threat with its settings, on images of this shape.

    Raises:
        ProtocolError: if an attack is unknown, lacks a setting or has one too many, or gives no number on such images.
    """
    steps = []
    for name in protocol.cascade(threat.norm):
        if name not in ATTACKS:
            raise ProtocolError(f"{protocol.origin.at('attacks', name)}: {unknown('attack', name, list(ATTACKS))}")
        steps.append(Step(find(name), threat.model, protocol.attacks[name]))
    for step in steps:
        _hold_settings(protocol, "attacks", step.attack, step.settings)
        if step.attack.name in protocol.black_box:
            _hold_settings(protocol, "black_box", step.attack, protocol.black_box[step.attack.name])
        limit = step.attack.limit(step.settings, shape)
        if limit and limit.fatal:
            raise ProtocolError(
                f"{protocol.origin.at('attacks', step.attack.name)}: {limit.says}; leave it out of the {threat.norm} "
                "attacks, or choose other settings."
            )
    return steps


def _hold_settings(protocol: Protocol, table: str, attack: Attack, settings: Settings) -> None:
    where = protocol.origin.at(table, attack.name)
    if table == "black_box" and attack.access is not Access.BLACK_BOX:
        raise ProtocolError(f"{where}: looks at gradients, so it has no place in the black-box scenario; leave it out.")
    missing, surplus = sorted(set(attack.settings) - set(settings)), sorted(set(settings) - set(attack.settings))
    if missing or surplus:
        raise ProtocolError(
            f"{where}: takes {', '.join(attack.settings)}; missing: {', '.join(missing) or 'none'}, unknown: "
            f"{', '.join(surplus) or 'none'}."
        )


def remarks_on(steps: Iterable[Step], shape: tuple[int, int, int]) -> tuple[str, ...]:
    """Return what attacks leave undone on images of this shape, one sentence each."""
    limits = ((step, step.attack.limit(step.settings, shape)) for step in steps)
    found = (f"{step.threat} {step.attack.name}: {limit.says}." for step, limit in limits if limit)
    return tuple(dict.fromkeys(found))


def _ids(request: Request) -> tuple[int, ...]:
    data = request.protocol.data
    first, last = request.points or (data.first, data.ids.stop)
    if not 0 <= first < last:
        raise UsageError(f"points {first}:{last} name no point; write FIRST:LAST with FIRST < LAST.")
    ids = tuple(range(first, last))
    if request.limit is not None and request.limit < 1:
        raise UsageError(f"--limit needs at least one point, got {request.limit}.")
    return ids[: request.limit]


def _name(request: Request) -> str:
    """Return the id of the entry: model, how it was or is pruned, what followed, and what else was asked."""
    marks, origin = _marks(request), request.origin
    if origin is None:
        return entry_name(request.model, request.recipe, request.sparsity, request.regime, marks)
    how, regime = re.sub(r"[^a-z0-9._]+", "-", origin.method.lower()), origin.regime or "one-shot"
    return entry_name(request.model, how[:_LONGEST].strip("-._") or "pruned", origin.sparsity, regime, marks)


def _chosen(request: Request) -> list[Threat]:
    for norm in request.norms or ():
        request.protocol.threat(norm)
    return [threat for threat in request.protocol.threats if request.norms is None or threat.norm in request.norms]


def _marks(request: Request) -> list[str]:
    """Return a word for everything asked beside the cell that the result depends on."""
    protocol, ids, chosen, found = request.protocol, _ids(request), _chosen(request), []
    if protocol.name not in names() or load(protocol.name).digest != protocol.digest:
        found.append(f"rules-{protocol.digest[:8]}")
    if ids != _everything(protocol):
        found.append(f"points-{ids[0]}-{ids[-1] + 1}")
    if len(chosen) < len(protocol.threats):
        found.append("-".join(threat.norm.lower() for threat in chosen))
    if protocol.preset != STANDARD:
        found.append(f"preset-{protocol.preset}")
    if request.seed not in {None, protocol.seed}:
        found.append(f"seed-{request.seed}")
    if request.keep:
        found.append(f"keep-{digest(request.keep)}")
    if request.engine == "reference":  # whose verdicts depend on the batch
        found.append("reference" if request.batch_size is None else f"reference-{request.batch_size}")
    if request.origin is not None:
        found.append(f"origin-{_told(request.origin)}")
    if request.parent_run is not None:
        found.append(f"parent-{digest(request.parent_run)}")
    return found


def _told(origin: Origin) -> str:
    # a parent's file that moves is the same parent
    parent = None if origin.parent is None else model_name(origin.parent)
    return digest(parent, replace(origin, parent=None))


def _everything(protocol: Protocol) -> tuple[int, ...]:
    return tuple(protocol.data.ids)


def _plugged(request: Request) -> list[str]:
    """Return what of a run only other people's packages have, so that nobody else can make it again from ours."""
    used: list[tuple[str, str, Registry[Any]]] = [
        ("recipe", request.recipe, RECIPES),
        ("regime", request.regime, REGIMES),
    ]
    named = dict.fromkeys(ref.architecture.partition("?")[0] for ref in request.refs if ref.architecture)
    used += [("architecture", name, ARCHITECTURES) for name in named]
    brought = [(kind, name, registry.plugged(name)) for kind, name, registry in used if name in registry]
    return [f"the {kind} {name} is of the plug-in {package}" for kind, name, package in brought if package]


def _preliminary(protocol: Protocol, chosen: list[Threat]) -> Iterator[str]:
    """Yield that a preset is at work, and how far its figures were from those of the rules, norm by norm."""
    yield f"budgets of the preset {protocol.preset}"
    gaps = {gap.norm: gap.words() for gap in protocol.presets[protocol.preset].gaps}
    for threat in chosen:
        nobody = f"preliminary under {threat.norm}: nobody has measured how far from the rules"
        yield gaps.get(threat.norm, nobody)


def _deviations(request: Request) -> list[str]:
    """Return why a run is not a standard one; which threat models it attacks is no reason, for each has its board."""
    protocol, found = request.protocol, []
    if protocol.origin.folder is not None:
        base = f", which changes {protocol.origin.base}" if protocol.origin.base else ""
        found.append(f"rules of one's own, from {protocol.origin.file}{base}")
    elif not protocol.data.pinned:
        found.append(f"{protocol.name} pins no points yet; `bench protocol check {protocol.name}` prints their digest")
    found += dict.fromkeys(reason for ref in request.refs if (reason := SOURCES[ref.source].private))
    found += _plugged(request)
    everything, ids = _everything(protocol), _ids(request)
    if ids != everything:
        found.append(f"points {ids[0]}:{ids[-1] + 1} instead of {everything[0]}:{everything[-1] + 1}")
    if protocol.preset != STANDARD:
        found += _preliminary(protocol, _chosen(request))
    if request.seed not in {None, protocol.seed}:
        found.append(f"seed {request.seed} instead of {protocol.seed}")
    if request.origin is not None and request.origin.parent is None:
        found.append("no dense parent is named, so sparsity and size are measured against the architecture alone")
    return found

"""What a request means under a protocol: the cell, its attacks, its deviations and its predicted cost."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

from bench.attacks.attack import ATTACKS, Attack, Passes
from bench.attacks.reference import covers, reference
from bench.data.dataset import DATASETS
from bench.errors import ProtocolError, UsageError
from bench.evaluation.checks.runner import chosen as checks_of
from bench.evaluation.search.step import Step
from bench.models.source import ModelRef
from bench.protocol.load import STANDARD, Protocol, Threat
from bench.pruning.recipe import RECIPES, Structure
from bench.threats import Norm, ThreatModel

Engine = Literal["native", "reference"]


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for.

    Attributes:
        sparsity: share of prunable weights to remove; None for ``dense``.
        norms: threat models to run, by norm; None runs all of the protocol.
        points: ids from (inclusive) and to (exclusive); None takes the protocol's.
        limit: only so many of the points.
        seed: None takes the protocol's.
        parent: folder of the dense parent's run, for transfer; None looks beside ``out`` and in submissions/.
    """

    model: ModelRef
    protocol: Protocol
    recipe: str = "dense"
    sparsity: Fraction | None = None
    regime: str = "one-shot"
    norms: tuple[Norm, ...] | None = None
    points: tuple[int, int] | None = None
    limit: int | None = None
    seed: int | None = None
    engine: Engine = "native"
    batch_size: int | None = None
    device: str = "auto"
    out: Path | None = None
    parent: Path | None = None
    resume: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """One evaluation, settled: everything that ``bench evaluate --dry-run`` prints.

    Attributes:
        ids: of the points, in order.
        steps: attacks in the order they run.
        deviations: why the run is not a standard one.
        name: of the entry; also the folder it is written to.
    """

    request: Request
    protocol: Protocol
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
        return len(DATASETS[self.protocol.data.dataset].classes)

    @property
    def passes(self) -> Passes:
        """The most passes per point, all attacks together, the clean pass included."""
        total = Passes(1, 0)
        for step in self.steps:
            total += step.passes(self.classes)
        return total


def plan(request: Request) -> Plan:
    """Settle a request; pure, loads no weights and no data.

    Raises:
        UsageError: if a name is unknown or options do not fit together.
        ProtocolError: if the protocol asks for what no component offers.
    """
    protocol = request.protocol
    checks_of(protocol)
    check_recipe(request.recipe, request.sparsity)
    if RECIPES[request.recipe].structure is Structure.TWO_OF_FOUR:
        request = replace(request, sparsity=Fraction(1, 2))  # the target even where it goes without saying
    chosen = [threat for threat in protocol.threats if request.norms is None or threat.norm in request.norms]
    for norm in request.norms or ():
        protocol.threat(norm)
    find = ATTACKS.__getitem__ if request.engine == "native" else _audited
    steps = tuple(step for threat in chosen for step in _steps(protocol, threat, find))
    name = entry_name(request.model, request.recipe, request.sparsity, request.regime)
    return Plan(
        request=request,
        protocol=protocol,
        threats=tuple(threat.model for threat in chosen),
        ids=_ids(request),
        steps=steps,
        seed=protocol.seed if request.seed is None else request.seed,
        deviations=tuple(_deviations(request, chosen)),
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
        if not 0 < sparsity < 1:
            raise UsageError(f"a sparsity lies strictly between 0 and 1, got {float(sparsity):g}.")


def entry_name(model: ModelRef, recipe: str, sparsity: Fraction | None, regime: str) -> str:
    """Return the id of a cell's entry: model, recipe, sparsity in percent, regime."""
    stem = model.name.rsplit("/", 1)[-1].removesuffix(".safetensors").lower()
    parts = [re.sub(r"[^a-z0-9._-]+", "-", stem)]
    parts.append(recipe if sparsity is None else f"{recipe}-{percent(sparsity)}")
    if regime != "one-shot":
        parts.append(regime)
    return "--".join(parts)


def percent(share: Fraction) -> str:
    """Return a share as percent in digits that a file name can hold: ``50``, ``98.4375``."""
    return f"{float(share * 100):.6f}".rstrip("0").rstrip(".")


def _audited(name: str) -> Attack:
    # what the reference package lacks is ours in both engines
    return reference(name) if covers(name) else ATTACKS[name]


def _steps(protocol: Protocol, threat: Threat, find: Callable[[str], Attack]) -> list[Step]:
    names = protocol.cascade(threat.norm)
    steps = [Step(find(name), threat.model, protocol.attacks[name]) for name in names]
    for step in steps:
        missing = sorted(set(step.attack.settings) - set(step.settings))
        surplus = sorted(set(step.settings) - set(step.attack.settings))
        if missing or surplus:
            raise ProtocolError(
                f"{protocol.name}: {step.attack.name} takes {', '.join(step.attack.settings)}; "
                f"missing: {', '.join(missing) or 'none'}, unknown: {', '.join(surplus) or 'none'}."
            )
    return steps


def _ids(request: Request) -> tuple[int, ...]:
    data = request.protocol.data
    first, last = request.points or (data.first, data.first + data.points)
    if not 0 <= first < last:
        raise UsageError(f"points {first}:{last} name no point; write FIRST:LAST with FIRST < LAST.")
    ids = tuple(range(first, last))
    if request.limit is not None and request.limit < 1:
        raise UsageError(f"--limit needs at least one point, got {request.limit}.")
    return ids[: request.limit]


def _deviations(request: Request, chosen: list[Threat]) -> list[str]:
    protocol, found = request.protocol, []
    everything = tuple(range(protocol.data.first, protocol.data.first + protocol.data.points))
    ids = _ids(request)
    if ids != everything:
        found.append(f"points {ids[0]}:{ids[-1] + 1} instead of {everything[0]}:{everything[-1] + 1}")
    if len(chosen) < len(protocol.threats):
        found.append(f"threats {', '.join(threat.norm for threat in chosen)} only")
    if protocol.preset != STANDARD:
        found.append(f"budgets of the preset {protocol.preset}")
    if request.seed not in {None, protocol.seed}:
        found.append(f"seed {request.seed} instead of {protocol.seed}")
    return found

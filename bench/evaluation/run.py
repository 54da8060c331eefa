"""Carries out a plan: the one place that knows models, data, recipes, attacks and records together."""

import copy
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from bench.atomic import write_atomic
from bench.attacks.attack import Passes
from bench.data.dataset import DATASETS, EvalSet
from bench.errors import BenchError, ContractError, InputError, UsageError
from bench.evaluation import environment as machine
from bench.evaluation.batch import automatic_batch
from bench.evaluation.cascade import Cascade, Tally, Target, Watch
from bench.evaluation.checks.listening import listening
from bench.evaluation.checks.runner import admit, collapsed, review
from bench.evaluation.environment import exact_arithmetic
from bench.evaluation.evidence import Snapshot, after_attacks, before_attacks
from bench.evaluation.evidence import spent as spent_on_checks
from bench.evaluation.journal import Journal
from bench.evaluation.latency import latency
from bench.evaluation.layout import lay_out
from bench.evaluation.meter import clean_logits
from bench.evaluation.plan import Plan, Request
from bench.evaluation.plan import plan as settle
from bench.evaluation.pool import Pool, total_broken
from bench.evaluation.record import (
    curve_records,
    data_record,
    point_arrays,
    pruning_record,
    threat_record,
    witness_arrays,
)
from bench.evaluation.scenarios import measure_scenarios
from bench.models.source import LoadedModel, ModelRef, load, state_digest
from bench.pruning.measure import measure
from bench.pruning.prune import Pruned, needs_images, prune
from bench.pruning.recipe import RECIPES, Context, Needs, Structure, Training
from bench.pruning.regime import REGIMES
from bench.submission.files import POINTS_FILE, RESULT_FILE, WITNESSES_FILE, dump, pack_arrays
from bench.submission.schema import (
    CleanRecord,
    CostRecord,
    Flag,
    LatencyRecord,
    ModelRecord,
    Normalisation,
    ProtocolStamp,
    Result,
    ScenarioRecord,
)
from bench.tensors import Labels
from bench.threats import Norm
from bench.twin.twin import stand_in

EXAMPLES = 8
"""Images shown to the network once to see which weights a forward pass reaches; more than one, for batch mixing."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A plan with its model, its data and its pruned network at hand."""

    plan: Plan
    loaded: LoadedModel
    points: EvalSet
    pruned: Pruned
    digest: str
    """Of the tensors that are attacked."""


def prepare(plan: Plan) -> Cell:
    """Load the model and the data, prune, measure.

    Raises:
        InputError: if data are missing or are not the protocol's.
        UsageError: if the model does not take these images or has other classes.
    """
    loaded = load(plan.request.model)
    points = load_points(plan)
    source = DATASETS[plan.protocol.data.dataset]
    if loaded.shape != source.shape or loaded.classes != len(source.classes):
        raise UsageError(
            f"{loaded.ref} takes images of shape {loaded.shape} and tells {loaded.classes} classes apart; "
            f"{source.name} has shape {source.shape} and {len(source.classes)} classes."
        )
    calibration = plan.protocol.calibration
    wanted = range(calibration.first, calibration.first + calibration.points)
    pruned = prune(
        loaded.classifier,
        plan.request.recipe,
        plan.request.sparsity,
        _context(plan, points, wanted),
        plan.request.regime,
    )
    if loaded.whole is not None and RECIPES[plan.request.recipe].structure is Structure.DENSE:
        # a checkpoint whose channels are gone already: they count as zeros of the network that had them
        pruned = replace(pruned, measured=measure(loaded.whole, pruned.network, points.images()[:EXAMPLES]))
    lay_out(pruned.network, pruned.measured, machine.device(plan.request.device))
    return Cell(plan, loaded, points, pruned, state_digest(pruned.network))


def load_points(plan: Plan) -> EvalSet:
    """Load the points of a plan and hold them against the protocol's digest.

    Raises:
        InputError: if they are missing, or are not the pixels and labels that the protocol was made with.
    """
    data = plan.protocol.data
    points = DATASETS[data.dataset].load(data.split, plan.ids)
    whole = plan.ids == tuple(range(data.first, data.first + data.points))
    if whole and data.digest is not None and points.digest != data.digest:
        raise InputError(
            f"{data.dataset} {data.split}: the {len(points)} points are not the protocol's "
            f"(digest {points.digest[:12]}…, expected {data.digest[:12]}…); fetch the data set again."
        )
    return points


@dataclass(slots=True)
class Measurement:
    """What the attacks found and what they spent.

    Attributes:
        predictions: class per point on clean images.
        tallies: per norm, one per attack in order.
        deviations: why this run is not a standard one, found while it ran.
        flags: doubts of the reliability checks.
        spent: passes in all.
        checks: the part of them that the checks made.
    """

    pool: Pool
    predictions: Labels
    tallies: dict[Norm, list[Tally]]
    scenarios: dict[str, ScenarioRecord]
    deviations: list[str]
    flags: list[Flag]
    spent: Passes
    checks: Passes


def evaluate(plan: Plan, watch: Watch | None = None) -> Path:
    """Carry out a plan and return the folder with its result; an interrupted run resumes by the same call.

    Raises:
        UsageError: if the folder exists already.
        ContractError: if the model or a component breaks its contract; then there is no number.
    """
    if plan.out.exists():
        raise UsageError(f"{str(plan.out)!r} exists already; remove it or choose another --out.")
    started = time.perf_counter()
    device = machine.device(plan.request.device)
    with exact_arithmetic():
        cell = prepare(plan)
        batch = batch_of(cell, device)
        partial = plan.out.with_name(plan.out.name + ".partial")
        journal = Journal.open(partial, _header(cell, batch), resume=plan.request.resume)
        found = attack(cell, device, batch, journal, watch)
    _hold_invariants(plan, found.pool)
    seconds = round(time.perf_counter() - started, 1)
    result = _result(cell, found, device, batch, seconds, _latency(cell, device, batch))
    _write(plan, result, cell, found)
    journal.close()
    return plan.out


def attack(
    cell: Cell, device: torch.device, batch: int, journal: Journal | None = None, watch: Watch | None = None
) -> Measurement:
    """Run every cascade of the plan, then the scenarios, on one pool of witnesses."""
    plan = cell.plan
    target = aim(cell, device, batch)
    predictions = target.logits.argmax(dim=1)
    pool = Pool(target.images, predictions == target.labels, plan.threats)
    evidence = before_attacks(plan, cell.loaded, cell.pruned, target, _remaker(cell))
    flags = admit(plan.protocol, evidence)
    cascade = Cascade(target, pool, plan.seed, batch, journal, plan.request.engine == "native", watch)
    tallies: dict[Norm, list[Tally]] = {threat.norm: [] for threat in plan.threats}
    with listening() as heard:
        for step in plan.steps:
            tallies[step.threat.norm].append(cascade.run(step.attack, step.threat, step.settings))
    then = Snapshot.of(plan, pool)
    scenarios, missing = measure_scenarios(plan, cell.loaded, cascade)
    evidence = after_attacks(replace(evidence, heard=heard), plan, cascade, tallies, then, scenarios)
    flags += review(plan.protocol, evidence)
    checks = spent_on_checks(evidence)
    spent = Passes(len(cell.points) + sum(record.forwards for record in scenarios.values()), 0) + checks
    for tally in (tally for row in tallies.values() for tally in row):
        spent += Passes(tally.forwards, tally.backwards)
    return Measurement(pool, predictions, tallies, scenarios, missing, flags, spent, checks)


def aim(cell: Cell, device: torch.device, batch: int) -> Target:
    """Bring a cell's network and points to a device, with the logits of the clean images: one pass per point.

    Attacks search on a stand-in that computes the same function faster, where there is one; an auditor does not.
    """
    network, images = cell.pruned.network.to(device), cell.points.images(device)
    logits = clean_logits(network, images, batch)
    search = stand_in(network, images[:EXAMPLES]) if cell.plan.request.engine == "native" else None
    return Target(network, images, cell.points.label_tensor(device), cell.points.id_tensor(device), logits, search)


def remake(request: Request) -> torch.nn.Module:
    """Make the network of a request again, from nothing but the request; a check does so in another process."""
    with exact_arithmetic():
        return prepare(settle(request)).pruned.network


def hand_over(network: torch.nn.Module) -> torch.nn.Module:
    """Return a network that was sent along; for those whose making takes training."""
    return network


def _remaker(cell: Cell) -> Callable[[], torch.nn.Module]:
    """Return how another process gets the network: made again from the request, or, once trained, as it is."""
    request = cell.plan.request
    if Needs.TRAINING in {RECIPES[request.recipe].needs, REGIMES[request.regime].needs}:
        return partial(hand_over, copy.deepcopy(cell.pruned.network).cpu())
    return partial(remake, request)


def batch_of(cell: Cell, device: torch.device) -> int:
    """Return how many points an attack works on at once: as the user said, or what suits network and device."""
    work, numbers = cell.pruned.measured.macs, cell.points.images()[0].numel()
    return cell.plan.request.batch_size or automatic_batch(work, numbers, device)


def _context(plan: Plan, points: EvalSet, wanted: range) -> Context:
    calibration = None
    if needs_images(plan.request.recipe, plan.request.regime):
        data = plan.protocol
        extra = DATASETS[data.data.dataset].load(data.calibration.split, wanted)
        calibration = (extra.images(), extra.label_tensor())
    return Context(
        example=points.images()[:EXAMPLES],
        seed=plan.seed,
        calibration=calibration,
        threat=plan.protocol.threats[0].model,
        training=Training(**plan.protocol.training.model_dump()),
    )


def _header(cell: Cell, batch: int) -> dict[str, object]:
    plan = cell.plan
    return {
        "protocol": plan.protocol.digest,
        "preset": plan.protocol.preset,
        "weights": cell.digest,
        "data": cell.points.digest,
        "engine": plan.request.engine,
        "seed": plan.seed,
        "threats": [str(threat) for threat in plan.threats],
        "batch size": batch if plan.request.engine == "reference" else None,
        "commit": machine.environment(torch.device("cpu")).get("commit"),
    }


def _hold_invariants(plan: Plan, pool: Pool) -> None:
    for threat in plan.threats:
        robust = int(pool.standing(threat.norm, float(threat.epsilon)).sum())
        correct, broken = int(pool.correct.sum()), total_broken(pool.broken[threat.norm])
        if correct != robust + broken:
            raise ContractError(f"{threat}: {correct} correct, but {robust} robust and {broken} broken.")


def _latency(cell: Cell, device: torch.device, batch: int) -> LatencyRecord | None:
    """Time a network whose channels are gone beside its parent; zeros alone make nothing faster."""
    if cell.pruned.measured.macs == cell.pruned.measured.parent_macs:
        return None
    return latency(cell.loaded.whole or cell.loaded.classifier, cell.pruned.network, cell.points.images(device), batch)


def _result(
    cell: Cell, found: Measurement, device: torch.device, batch: int, seconds: float, timed: LatencyRecord | None
) -> Result:
    plan, loaded = cell.plan, cell.loaded
    pool, spent = found.pool, found.spent
    correct = int(pool.correct.sum())
    deviations = [*plan.deviations, *found.deviations]
    if machine.code_is_dirty():
        deviations.append("the code differs from its commit")
    pruned = plan.request.sparsity is not None or cell.pruned.measured.zeros > 0
    return Result(
        schema_="bench.result/1",
        standard=not deviations,
        deviations=tuple(deviations),
        protocol=ProtocolStamp(name=plan.protocol.name, digest=plan.protocol.digest),
        model=ModelRecord(
            ref=str(loaded.ref),
            architecture=loaded.architecture,
            parent=str(loaded.ref) if pruned else None,
            weights_sha256=cell.digest,
            parent_sha256=loaded.digest if pruned else None,
            file_sha256=loaded.file_digest,
            normalisation=_normalisation(loaded.ref),
            parameters=cell.pruned.measured.parameters,
        ),
        pruning=pruning_record(plan, cell.pruned.measured),
        data=data_record(cell.points),
        clean=CleanRecord(correct=correct),
        threats=tuple(threat_record(threat, pool, found.tallies[threat.norm]) for threat in plan.threats),
        curves=curve_records(plan, pool),
        scenarios=found.scenarios,
        flags=tuple(found.flags),
        collapsed=collapsed(found.flags),
        seed=plan.seed,
        engine=plan.request.engine,
        batch_size=batch if plan.request.engine == "reference" else None,
        environment=machine.environment(device),
        cost=CostRecord(seconds=seconds, latency=timed, forwards=spent.forwards, backwards=spent.backwards),
    )


def _normalisation(ref: ModelRef) -> Normalisation | None:
    """Return what came with a file of weights; every other source brings its own."""
    return Normalisation(mean=ref.mean, std=ref.std) if ref.source == "checkpoint" else None


def _write(plan: Plan, result: Result, cell: Cell, found: Measurement) -> None:
    """Write the folder completely or not at all: beside its place first, then moved in one step."""
    building = plan.out.with_name(f".{plan.out.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    write_atomic(building / RESULT_FILE, dump(result))
    write_atomic(building / POINTS_FILE, pack_arrays(point_arrays(cell.points, found.predictions, found.pool)))
    write_atomic(building / WITNESSES_FILE, pack_arrays(witness_arrays(cell.points, found.pool)))
    try:
        building.rename(plan.out)
    except OSError as error:
        raise BenchError(f"cannot move the result to {str(plan.out)!r} ({error.strerror}).") from None

"""Carries out a plan: attacks, scenarios and checks in their order; makes no number itself."""

import copy
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from bench.attacks.attack import Passes
from bench.errors import ContractError
from bench.evaluation import environment
from bench.evaluation.checks.listening import listening
from bench.evaluation.checks.runner import admit, foresee, review
from bench.evaluation.conduct.adding import KEPT, adding_to, earlier_work, hold_same
from bench.evaluation.conduct.evidence import Snapshot, after_attacks, before_attacks
from bench.evaluation.conduct.evidence import spent as spent_on_checks
from bench.evaluation.conduct.foresight import lacking_parent
from bench.evaluation.conduct.latency import LARGEST, latency
from bench.evaluation.conduct.parents import parent_first
from bench.evaluation.conduct.scenarios import measure_scenarios
from bench.evaluation.energy import metered
from bench.evaluation.environment import exact_arithmetic
from bench.evaluation.judge.pool import Pool, total_broken
from bench.evaluation.plan.plan import Plan
from bench.evaluation.plan.prepare import Cell, batch_of, prepare
from bench.evaluation.record import result
from bench.evaluation.record.result import Measurement
from bench.evaluation.search.cascade import Cascade, Tally, Target, Watch
from bench.evaluation.search.denormal import without_denormals
from bench.evaluation.search.journal import Journal, Tell, Written
from bench.evaluation.search.meter import clean_logits
from bench.evaluation.search.recall import Recall
from bench.lock import held
from bench.models.probe import answers
from bench.models.zoo.memory import SOURCE as MEMORY
from bench.pruning.recipe import RECIPES, Needs
from bench.pruning.regime import REGIMES
from bench.submission.schema import LatencyRecord
from bench.threats import Norm
from bench.version import __version__

Announce = Callable[[Plan], None]
"""Hears of a plan before it is carried out: a parent's, then the one that was asked for."""


def evaluate(
    plan: Plan,
    watch: Watch | None = None,
    announce: Announce = lambda _: None,
    tell: Tell = lambda _: None,
    stage: Tell = lambda _: None,
    written: Written = lambda *_: None,
) -> Path:
    """Carry out a plan and return the folder with its result; an interrupted run resumes by the same call.

    Where no run of the dense parent is at hand, that is measured first, if the plan asks for it. Where the folder holds
    a finished run of the same network, what the plan asks for is added to it; its journal, and those of other runs of
    this network beside it, say what was attacked before, so that nothing is attacked twice.

    Args:
        plan: what to do.
        watch: hears of every round.
        stage: hears what is at work where no attack is.
        announce: hears of each plan before its attacks begin.
        tell: hears, before the first attack, of a parent that is missing, and of damage to unfinished work.
        written: hears of all work as it is kept.

    Raises:
        UsageError: if the folder holds something else or all of this, or another process is making it.
        ContractError: if the model or a component breaks its contract; then there is no number.
    """
    with held(plan.out) as unfinished:
        result.restore(plan.out)
        plan = adding_to(plan)
        altered = environment.code_is_dirty()
        began = time.perf_counter()
        device = environment.device(plan.request.device)
        with exact_arithmetic():
            cell = prepare(plan)
        batch = batch_of(cell, device)
        header = header_of(cell, batch, device, altered=altered)
        hold_same(plan, header)
        for reason in filter(None, [*cell.deviations, lacking_parent(plan, cell.parent)]):
            tell(f"Cannot be submitted: {reason}.")
        paused = time.perf_counter()
        if (first := parent_first(plan, cell.parent)) is not None:
            evaluate(first, watch, announce, tell, stage)
        announce(plan)
        since = began + time.perf_counter() - paused
        with exact_arithmetic(), metered(device) as meters:
            journal = Journal.open(
                unfinished, header, resume=plan.request.resume, since=since, tell=tell,
                others=earlier_work(plan.out) if plan.request.resume else (), written=written,
            )  # fmt: skip
            found = attack(cell, device, batch, journal, watch, tell, stage)
            drawn = meters.records() if journal.at_once else ()
        _hold_invariants(plan, found.pool)
        found.spent += journal.unused
        found.deviations += [environment.ALTERED] if altered else []
        spent = result.Effort(round(journal.seconds, 1), drawn, _latency(cell, device, batch))
        result.write(result.make(cell, found, device, batch, spent), cell, found)
        journal.keep(plan.out / KEPT)
    return plan.out


def attack(
    cell: Cell,
    device: torch.device,
    batch: int,
    journal: Journal | None = None,
    watch: Watch | None = None,
    tell: Tell = lambda _: None,
    stage: Tell = lambda _: None,
) -> Measurement:
    """Run every cascade of the plan, then the scenarios, on one pool of witnesses."""
    plan = cell.plan
    target = aim(cell, device, batch)
    predictions = target.logits.argmax(dim=1)
    pool = Pool(target.images, predictions == target.labels, plan.threats)
    stage("checking the network")
    evidence = before_attacks(cell, target, _remaker(cell))
    flags = admit(plan.protocol, evidence)
    foreseen = foresee(plan.protocol, evidence)
    for flag in foreseen:
        tell(f"Before the first attack: {flag.says}")
    alone = plan.request.engine == "native"  # what the reference proposes for a point hangs on its batch
    kept = None if journal is None else Recall(journal, target.images, target.labels, target.ids, whole=not alone)
    cascade = Cascade(target, pool, plan.seed, batch, kept, alone, watch)
    tallies: dict[Norm, list[Tally]] = {threat.norm: [] for threat in plan.threats}
    with listening() as heard:
        for step in plan.steps:
            tallies[step.threat.norm].append(cascade.run(step.attack, step.threat, step.settings))
    then = Snapshot.of(plan, pool)
    stage("other scenarios")
    scenarios, missing = measure_scenarios(cell, cascade)
    stage("checking what was found")
    evidence = after_attacks(replace(evidence, heard=heard), plan, cascade, tallies, then, scenarios)
    flags += review(plan.protocol, evidence, foreseen)
    checks = spent_on_checks(evidence)
    spent = Passes(len(cell.points) + sum(record.forwards for record in scenarios.values()), 0) + checks
    for tally in (tally for row in tallies.values() for tally in row):
        spent += Passes(tally.forwards, tally.backwards)
    return Measurement(pool, predictions, tallies, scenarios, missing, flags, spent, checks)


def aim(cell: Cell, device: torch.device, batch: int) -> Target:
    """Bring a cell's network and points to a device, with the logits of the clean images: one pass per point."""
    network, images = cell.pruned.network.to(device), cell.points.images(device)
    quick = without_denormals(network, cell.loaded.shape)
    logits = clean_logits(quick, images, batch)
    return Target(quick, images, cell.points.label_tensor(device), cell.points.id_tensor(device), logits)


def remake(plan: Plan) -> torch.nn.Module:
    """Make the network of a plan again, from nothing but the plan; a check does so in another process."""
    with exact_arithmetic():
        return prepare(plan).pruned.network


def hand_over(network: torch.nn.Module) -> torch.nn.Module:
    """Return a network that was sent along; for those whose making takes training."""
    return network


def _remaker(cell: Cell) -> Callable[[], torch.nn.Module] | None:
    """Return how another process gets the network: made again from the request, or, once trained, as it is.

    None where the network, or the parent it is held against, lives in this process alone.
    """
    request = cell.plan.request
    if MEMORY in {ref.source for ref in request.refs}:
        return None
    if Needs.TRAINING in {RECIPES[request.recipe].needs, REGIMES[request.regime].needs}:
        return partial(hand_over, copy.deepcopy(cell.pruned.network).cpu())
    return partial(remake, cell.plan)


def header_of(cell: Cell, batch: int, device: torch.device, *, altered: bool) -> dict[str, object]:
    """Return what all proposals hang on; the journal names what else they hang on, batch by batch."""
    plan, data = cell.plan, cell.plan.protocol.data
    return {
        "protocol": plan.protocol.digest,
        "data": data.pin or f"{data.dataset}, {data.split}",
        "device": device.type,
        "weights": cell.digest,
        "function of the weights": answers(cell.pruned.network, cell.loaded.shape),
        "engine": plan.request.engine,
        "seed": plan.seed,
        "state of the code": environment.ALTERED if altered else "as committed",
        "batch size": batch if plan.request.engine == "reference" else None,
        "version": __version__,
        "commit": environment.environment().get("commit"),
    }


def _hold_invariants(plan: Plan, pool: Pool) -> None:
    for threat in plan.threats:
        robust = int(pool.withstanding(threat.norm, float(threat.epsilon)).sum())
        correct, broken = int(pool.correct.sum()), total_broken(pool.broken[threat.norm])
        if correct != robust + broken:
            raise ContractError(f"{threat}: {correct} correct, but {robust} robust and {broken} broken.")


def _latency(cell: Cell, device: torch.device, batch: int) -> LatencyRecord:
    """Time the network; beside its parent where channels are gone, for zeros alone make nothing faster."""
    images, dense = cell.points.head(LARGEST).images(device), None
    if cell.pruned.measured.macs != cell.pruned.measured.parent_macs:
        dense = cell.parent.classifier if cell.parent else cell.loaded.whole
        assert dense is not None
    return latency(dense, cell.pruned.network, images, batch)

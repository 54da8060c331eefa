"""The result of an evaluation: what was measured, as one record, and the folder that holds it."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bench.atomic import write_atomic
from bench.attacks.attack import Passes
from bench.errors import BenchError
from bench.evaluation import environment
from bench.evaluation.checks.runner import collapsed
from bench.evaluation.judge.pool import Pool
from bench.evaluation.machine import machine
from bench.evaluation.plan.prepare import Cell
from bench.evaluation.record.record import (
    curve_records,
    data_record,
    point_arrays,
    pruning_record,
    threat_record,
    witness_arrays,
)
from bench.evaluation.search.cascade import Tally
from bench.models.source import LoadedModel, ModelRef
from bench.submission.arrays import Arrays, pack_arrays, write_arrays
from bench.submission.files import POINTS_FILE, RESULT_FILE, WITNESSES_FILE, dump
from bench.submission.schema import (
    CleanRecord,
    CostRecord,
    EnergyRecord,
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


@dataclass(frozen=True, slots=True)
class Effort:
    """What a run took by the clock and by the meters of its machine."""

    seconds: float
    energy: tuple[EnergyRecord, ...]
    latency: LatencyRecord


def make(cell: Cell, found: Measurement, device: torch.device, batch: int, effort: Effort) -> Result:
    """Return the record of what was measured: counts, never rates."""
    plan, loaded, parent = cell.plan, cell.loaded, cell.parent
    pool, spent = found.pool, found.spent
    correct = int(pool.correct.sum())
    deviations = [*plan.deviations, *cell.deviations, *found.deviations]
    if environment.code_is_dirty() and environment.ALTERED not in deviations:
        deviations.append(environment.ALTERED)
    return Result(
        schema_="bench.result/2",
        standard=not deviations,
        deviations=tuple(deviations),
        protocol=ProtocolStamp(name=plan.protocol.name, digest=plan.protocol.digest, preset=plan.protocol.preset),
        model=ModelRecord(
            ref=str(loaded.ref),
            architecture=loaded.architecture,
            parent=str(parent.ref) if parent else None,
            weights_sha256=cell.digest,
            parent_sha256=parent.digest if parent else None,
            file_sha256=loaded.file_digest,
            normalisation=_normalisation(loaded.ref),
            **_unlike(parent, loaded),
            parameters=cell.pruned.measured.parameters,
        ),
        pruning=pruning_record(cell),
        data=data_record(cell.points),
        clean=CleanRecord(correct=correct),
        threats=tuple(threat_record(threat, pool, found.tallies[threat.norm]) for threat in plan.threats),
        curves=curve_records(plan, pool),
        scenarios=found.scenarios,
        flags=tuple(found.flags),
        collapsed=collapsed(found.flags, len(cell.points)),
        seed=plan.seed,
        engine=plan.request.engine,
        batch_size=batch if plan.request.engine == "reference" else None,
        environment=environment.environment(),
        cost=CostRecord(
            seconds=effort.seconds,
            machine=machine(device),
            energy=effort.energy,
            latency=effort.latency,
            forwards=spent.forwards,
            backwards=spent.backwards,
        ),
    )


def _normalisation(ref: ModelRef) -> Normalisation | None:
    """Return what came with a file of weights; every other source brings its own."""
    return Normalisation(mean=ref.mean, std=ref.std) if ref.source == "checkpoint" else None


def _unlike(parent: LoadedModel | None, loaded: LoadedModel) -> dict[str, Any]:
    """Return what is needed to load a parent's file beyond what is told of the network that was pruned from it."""
    if parent is None or parent.ref.source != "checkpoint":
        return {}
    given = _normalisation(parent.ref)
    return {
        "parent_architecture": None if parent.architecture == loaded.architecture else parent.architecture,
        "parent_normalisation": None if given == _normalisation(loaded.ref) else given,
    }


def write(result: Result, cell: Cell, found: Measurement) -> None:
    """Write the folder of a result; see ``place``."""
    files: dict[str, bytes | Arrays] = {
        RESULT_FILE: dump(result),
        POINTS_FILE: pack_arrays(point_arrays(cell.points, found.predictions, found.pool)),
        WITNESSES_FILE: witness_arrays(cell.points, found.pool),
    }
    place(cell.plan.out, files)


def place(out: Path, files: Mapping[str, bytes | Arrays]) -> None:
    """Write a folder completely or not at all: beside its place first, then moved; what was there is replaced.

    Args:
        out: its place.
        files: by name, as bytes, or as arrays that are written part by part.

    Raises:
        BenchError: if the disk is full or the place cannot be written.
    """
    building = out.with_name(f".{out.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    try:
        building.mkdir(parents=True)
        for name, content in files.items():
            if isinstance(content, bytes):
                write_atomic(building / name, content)
                continue
            with (building / name).open("wb") as file:
                write_arrays(file, content)
                file.flush()
                os.fsync(file.fileno())
        if out.exists():
            out.rename(_before(out))
        building.rename(out)
        shutil.rmtree(_before(out), ignore_errors=True)
    except OSError as error:
        raise BenchError(f"cannot write the result to {str(out)!r} ({error.strerror}).") from None


def restore(out: Path) -> None:
    """Put back what was being replaced when a run was killed between the two moves of that."""
    before = _before(out)
    if before.exists() and not out.exists():
        before.rename(out)
    shutil.rmtree(before, ignore_errors=True)


def _before(out: Path) -> Path:
    return out.with_name(f".{out.name}.before")

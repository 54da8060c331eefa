"""Two runs point by point: what a paired test says of each threat model, what is kept, and what else differs."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.errors import InputError
from bench.submission.files import POINTS_FILE, RESULT_FILE, read_result
from bench.submission.paired import Paired
from bench.submission.points import Bits, PointTable, read_points
from bench.submission.schema import Result
from bench.submission.score import retention
from bench.submission.standing import best_known
from bench.threats import Norm

CLEAN = "clean"


@dataclass(frozen=True, slots=True)
class Run:
    """What a folder of a run or of a submission holds."""

    name: str
    result: Result
    points: PointTable


class Outcome(NamedTuple):
    """One row of a comparison.

    Attributes:
        what: the threat model, or ``clean``.
        pair: the first run (first) against the second.
        retention: share of the dense parent's points that the pruned network keeps, where one is the other's parent.
    """

    what: str
    pair: Paired
    retention: Fraction | None


class Difference(NamedTuple):
    """One thing that is not the same in both runs."""

    what: str
    first: str
    second: str


def read_run(folder: Path) -> Run:
    """Read the folder of a run or of a submission.

    Raises:
        SubmissionError: if its result or its points are missing or damaged.
        InputError: if the two do not belong together.
    """
    result, points = read_result(folder / RESULT_FILE), read_points(folder / POINTS_FILE)
    told = {threat.norm: (threat.best_known, threat.robust) for threat in result.threats}
    if (
        len(points) != result.data.points
        or int(points.correct.sum()) != result.clean.correct
        or {norm: (found.count, found.alone) for norm, found in best_known(result, points).items()} != told
    ):
        raise InputError(f"{POINTS_FILE} and {RESULT_FILE} in {str(folder)!r} are not of one run; measure again.")
    return Run(folder.resolve().name, result, points)


def outcomes(first: Run, second: Run) -> list[Outcome]:
    """Compare two runs on the points that both have, clean and under every threat model that both measured.

    A point counts as robust where no verified witness is known, as on the boards.

    Raises:
        InputError: if they share no point, if a point is not the same in both, or if they share no threat model.
    """
    ours, theirs = _shared(first, second)
    found = [Outcome(CLEAN, Paired.of(first.points.correct[ours], second.points.correct[theirs]), None)]
    one, two = (best_known(run.result, run.points) for run in (first, second))
    for threat in first.result.threats:
        other = second.result.threat(threat.norm)
        if other is None or other.epsilon != threat.epsilon:
            continue
        left, right = one[threat.norm].points[ours], two[threat.norm].points[theirs]
        kept = _kept(first, second, left, right)
        found.append(Outcome(f"{threat.norm} {threat.epsilon}", Paired.of(left, right), kept))
    if len(found) == 1:
        raise InputError(f"{first.name} and {second.name} share no threat model; measure both under the same one.")
    return found


def differences(first: Run, second: Run) -> list[Difference]:
    """Return what is not the same in both runs, what bears most on the outcome first."""
    left, right = dict(_facts(first)), dict(_facts(second))
    names = [*left, *(name for name in right if name not in left)]
    shown = [Difference(name, left.get(name, "–"), right.get(name, "–")) for name in names]
    return [difference for difference in shown if difference.first != difference.second]


def _shared(first: Run, second: Run) -> tuple[Any, Any]:
    one, two = first.result.data, second.result.data
    if (one.name, one.split) != (two.name, two.split):
        raise InputError(
            f"{first.name} is measured on {one.name} {one.split}, {second.name} on {two.name} {two.split}."
        )
    ids, ours, theirs = np.intersect1d(first.points.id, second.points.id, return_indices=True)
    if not len(ids):
        raise InputError(f"{first.name} and {second.name} have no point in common; measure both on the same points.")
    if (first.points.label[ours] != second.points.label[theirs]).any():
        raise InputError(f"{first.name} and {second.name} know one point by two labels; their data are not the same.")
    return ours, theirs


def _kept(first: Run, second: Run, left: Bits, right: Bits) -> Fraction | None:
    """Return the retention of whichever run is of the pruned network; None where neither is the other's parent."""
    if first.result.model.parent_sha256 == second.result.model.weights_sha256:
        return retention(int(left.sum()), int(right.sum()))
    if second.result.model.parent_sha256 == first.result.model.weights_sha256:
        return retention(int(right.sum()), int(left.sum()))
    return None


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    result, pruning = run.result, run.result.pruning
    yield "protocol", f"{result.protocol.name}, digest {result.protocol.digest[:12]}"
    yield "preset", result.protocol.preset
    yield "points", f"{len(run.points)}, digest {result.data.digest[:12]}"
    yield "network", result.model.ref
    yield "architecture", result.model.architecture
    yield "weights", result.model.weights_sha256[:12]
    yield "input normalisation", _plain(result.model.normalisation)
    yield "pruned by", pruning.how
    yield "structure", pruning.structure
    yield "regime", pruning.regime or "not said"
    yield "sparsity", f"{float(100 * Fraction(pruning.zeros, pruning.prunable)):.2f} %"
    yield "weights left", f"{pruning.nonzero:,}"
    yield "MACs with non-zero weights", f"{pruning.nonzero_macs:,}"
    for norm in Norm:
        if result.threat(norm) is not None:
            yield f"median distance {norm}", _median(run.points, norm)
    for threat in result.threats:
        yield f"attacks {threat.norm} {threat.epsilon}", ", ".join(attack.name for attack in threat.attacks)
    yield "engine", result.engine
    yield "seed", str(result.seed)
    yield "batch size", "free" if result.batch_size is None else str(result.batch_size)
    yield "collapsed", "yes" if result.collapsed else "no"
    yield "doubts", ", ".join(sorted({flag.check for flag in result.flags})) or "none"
    yield "deviations", "; ".join(result.deviations) or "none"
    machine = result.cost.machine
    yield "processor", machine.processor or "not told"
    yield "accelerator", machine.accelerator or "none"
    yield "threads", "not told" if machine.threads is None else str(machine.threads)
    yield from sorted(result.environment.items())


def _plain(value: object) -> str:
    return "the model's own" if value is None else str(value)


def _median(points: PointTable, norm: Norm) -> str:
    # sorted, not averaged: the middle pair may hold infinity
    middle = float(np.sort(points.distance[norm])[(len(points) - 1) // 2])
    return "∞" if np.isinf(middle) else f"{middle:.3g}"

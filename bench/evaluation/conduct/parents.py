"""The dense parent's own run under the same rules: where it is looked for, what it must hold, how it is made."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError, InputError
from bench.evaluation.plan.naming import entry_name
from bench.evaluation.plan.plan import Plan
from bench.evaluation.plan.plan import plan as settle
from bench.models.source import LoadedModel, ModelRef
from bench.submission.agreement import judge_witnesses, point_problems, witness_problems
from bench.submission.arrays import opened_arrays
from bench.submission.files import POINTS_FILE, RESULT_FILE, WITNESSES_FILE, read_result
from bench.submission.points import PointTable, read_points
from bench.submission.sample import sampled
from bench.submission.schema import Result
from bench.threats import Norm, ThreatModel


@dataclass(frozen=True, slots=True)
class Parent:
    """The dense parent's own run under the same rules."""

    folder: Path
    result: Result
    shape: tuple[int, int, int]

    def hold(self) -> None:
        """Hold the stored witnesses against the distances that they prove.

        Raises:
            InputError: if they prove something else, are images of another shape, or those of an entry: a sample.
            SubmissionError: if the file is damaged.
        """
        points = read_points(self.folder / POINTS_FILE)
        with opened_arrays(self.folder / WITNESSES_FILE, judge=judge_witnesses) as stored:
            shape = stored.headers[f"image_{Norm.LINF}"].shape[1:]
            wrong, of_an_entry = (
                next(chain(point_problems(self.result, points), witness_problems(points, stored, held)), None)
                for held in (None, sampled(points.id, shape))
            )
        if wrong is not None and of_an_entry is None:
            raise InputError(
                f"{str(self.folder)!r} holds the witnesses of a sample of its points, as entries do, where all are "
                "replayed; name the folder of the parent's run, or none, and the parent is measured."
            )
        if wrong is not None:
            raise InputError(f"{str(self.folder)!r} is damaged; run the parent again: {wrong}")
        if shape != self.shape:
            raise InputError(
                f"{str(self.folder)!r} holds images of shape {shape}, expected {self.shape}; run the parent again."
            )

    def witnesses(self, norm: Norm) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Yield the ids and the nearest witnesses of the points that have one, some at a time."""
        with opened_arrays(self.folder / WITNESSES_FILE, judge=judge_witnesses) as stored:
            ids, first = stored[f"id_{norm}"], 0
            for images in stored.parts(f"image_{norm}"):
                yield ids[first : first + len(images)], images
                first += len(images)


def parent_first(plan: Plan, dense: LoadedModel | None) -> Plan | None:
    """Return the plan of the dense parent's run where none is at hand and one is wanted.

    Raises:
        InputError: if the folder that was named is not the parent's.
    """
    if dense is None or not plan.request.parent_first:
        return None
    _, why = find_parent(plan, dense)
    return parent_plan(plan, dense.ref) if why and plan.request.parent_run is None else None


def parent_plan(plan: Plan, parent: ModelRef) -> Plan:
    """Return the plan that measures the dense parent as its child is measured, in a folder beside the child's."""
    request = replace(
        plan.request, model=parent, recipe="dense", sparsity=None, regime="one-shot", origin=None, parent_run=None
    )
    settled = settle(request)
    name = settled.name if settled.name != plan.out.name else f"{settled.name}--parent"
    return replace(settled, name=name, out=plan.out.with_name(name))


def find_parent(plan: Plan, dense: LoadedModel) -> tuple[Parent | None, str]:
    """Look for the parent's run; return it, and what it lacks, or why there is none.

    It is the folder named, else one beside the result that holds enough, whatever it is called; where none was attacked
    under all of the plan's threat models, the one that was under most.

    Raises:
        InputError: if the folder that was named is not the parent's.
    """
    if plan.request.parent_run:
        parent = read_parent(plan.request.parent_run, plan, dense.digest)
        return parent, _unattacked(parent, plan)
    best: Parent | None = None
    why = "evaluate the dense model first, or name its folder with --parent"
    for folder in _places(plan, dense):
        if folder == plan.out or not (folder / WITNESSES_FILE).exists():
            continue
        try:
            parent = read_parent(folder, plan, dense.digest)
        except BenchError as error:
            why = why if best else str(error).rstrip(".")
            continue
        if not (lacks := _unattacked(parent, plan)):
            return parent, ""
        if best is None or len(_shared(parent.result, plan)) > len(_shared(best.result, plan)):
            best, why = parent, lacks
    return best, why


def _shared(result: Result, plan: Plan) -> list[ThreatModel]:
    return [threat for threat in plan.threats if result.threat(threat.norm) is not None]


def _unattacked(parent: Parent, plan: Plan) -> str:
    """Return which of the plan's threat models a parent's run leaves out; empty where it has them all."""
    left = [str(threat) for threat in plan.threats if parent.result.threat(threat.norm) is None]
    return f"{str(parent.folder)!r} was not attacked under {' and '.join(left)}" if left else ""


def _places(plan: Plan, dense: LoadedModel) -> Iterator[Path]:
    names = dict.fromkeys([parent_plan(plan, dense.ref).name, entry_name(dense.ref, "dense", None, "one-shot")])
    beside = plan.out.parent
    yield from (beside / name for name in names)
    attacked = f'"weights_sha256": "{dense.digest}"'.encode()
    others = sorted(path for path in beside.glob(f"*/{RESULT_FILE}") if path.is_file())
    yield from (path.parent for path in others if attacked in path.read_bytes())


def read_parent(folder: Path, plan: Plan, weights: str) -> Parent:
    """Read the parent's run.

    Args:
        folder: of the run.
        plan: of the network that was pruned; its parent was measured by the same rules, on its points, in at least
            one of its norms.
        weights: digest of the dense network that was pruned.

    Raises:
        InputError: if it is the run of another network, of other rules or of less, is damaged or lacks its witnesses.
    """
    result = read_result(folder / RESULT_FILE)
    if (result.protocol.digest, result.protocol.preset) != (plan.protocol.digest, plan.protocol.preset):
        raise InputError(
            f"{str(folder)!r} was measured under other rules ({result.protocol.name}, {result.protocol.preset}); run "
            "the parent again."
        )
    if result.model.weights_sha256 != weights:
        raise InputError(
            f"{str(folder)!r} is no run of this model's parent: it attacked weights "
            f"{result.model.weights_sha256[:12]}…, the parent's are {weights[:12]}…."
        )
    if lacking := _lacking(read_points(folder / POINTS_FILE), result, plan):
        raise InputError(f"{str(folder)!r} lacks {lacking}, which this run needs; run the parent on them too.")
    if not (folder / WITNESSES_FILE).is_file():
        raise InputError(f"{str(folder)!r} has lost its {WITNESSES_FILE}, which are replayed; run the parent again.")
    parent = Parent(folder, result, plan.source.shape)
    parent.hold()  # a damaged file is told here, not after the attacks
    return parent


def _lacking(points: PointTable, result: Result, plan: Plan) -> str:
    left = set(plan.ids) - set(points.id.tolist())
    missing = [] if _shared(result, plan) else [f"the threat {' and '.join(map(str, plan.threats))}"]
    missing += [f"{len(left)} points"] if left else []
    if result.seed != plan.seed:
        missing.append(f"the seed {plan.seed}")
    return " and ".join(missing)

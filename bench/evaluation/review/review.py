"""Carries out a review: what an entry says, held against what its weights give; then the protocol again."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from bench.errors import InputError, SubmissionError, UsageError
from bench.evaluation import environment
from bench.evaluation.conduct.run import aim
from bench.evaluation.environment import exact_arithmetic
from bench.evaluation.plan.ask import ask
from bench.evaluation.plan.plan import Plan
from bench.evaluation.plan.prepare import Cell, batch_of, prepare
from bench.evaluation.review.compared import compare_doubts, compare_flags, compare_network, compare_points
from bench.evaluation.review.replay import replay, smoke
from bench.evaluation.review.table import Table, named
from bench.evaluation.review.weights import fetch_weights
from bench.evaluation.search.cascade import Target
from bench.submission.again import Again
from bench.submission.agreement import judge_witnesses
from bench.submission.arrays import read_arrays
from bench.submission.check import Folder, examine, problems
from bench.submission.files import POINTS_FILE, RESULT_FILE, WITNESSES_FILE, read_result
from bench.submission.points import PointTable, read_points
from bench.submission.relations import disguised, distances, neighbours
from bench.submission.rules import RULES
from bench.submission.schema import Result
from bench.submission.standing import best_known
from bench.threats import Norm


@dataclass(slots=True)
class Review:
    """An entry beside what was found of it.

    Attributes:
        place: its folder.
        plan: measures it again.
        fallen: ids of its robust points that fell here, per norm.
    """

    place: Path
    entry: Folder
    plan: Plan
    table: Table = field(default_factory=Table)
    fallen: dict[Norm, list[int]] = field(default_factory=dict)
    correct: int = 0

    def before(self, norm: Norm) -> frozenset[int]:
        """Return the points that fell to whoever verified the entry before."""
        signed = self.entry.verification
        return frozenset() if signed is None else signed.fallen(norm)

    @property
    def every(self) -> dict[Norm, set[int]]:
        """Points that fell here or before: one run less finds no witness undone."""
        return {norm: {*self.fallen.get(norm, ()), *self.before(norm)} for norm in self.entry.standing()}


def review(place: Path, seed: int, *, device: str = "auto", out: Path | None = None) -> Review:
    """Recompute what an entry says without attacking it again in full: the level ``checked``.

    Args:
        place: the entry's folder, with those of its protocol beside it.
        seed: of the smoke attack; one that its authors could not know.
        device: to compute on.
        out: where another run of it goes; by default ``runs/review/<protocol>/<id>``.

    Raises:
        SubmissionError: if the folder has a problem that ``bench submission check`` names.
        InputError: if the points at hand are not read from the files that the rules pin.
        ArtefactError: if its weights are not what it says, or not safe to load.
        DisagreementError: if it is not what it claims in a way that leaves nothing to compare.
    """
    entry, cell, target = at_hand(place, device=device, out=out)
    found = Review(place, entry, cell.plan)
    with exact_arithmetic():
        compare_network(found.table, entry, cell)
        compare_points(found.table, entry, cell, target)
        compare_doubts(found.table, entry, cell, target)
        replay(found.table, _witnesses(place), target)
        found.fallen = smoke(found.table, entry, cell, target, batch_of(cell, target.images.device), seed)
        found.correct = int((target.logits.argmax(dim=1) == target.labels).sum())
    return found


def at_hand(place: Path, *, device: str = "auto", out: Path | None = None) -> tuple[Folder, Cell, Target]:
    """Return an entry, its network and points, and both brought to a device; raises as ``review`` does."""
    entry = sound(place)
    plan = _plan(place, entry.result, fetch_weights(place), device, out)
    with exact_arithmetic():
        cell = prepare(plan)
        if cell.deviations:
            raise InputError(f"{'; '.join(cell.deviations)}. Nothing is held against other images.")
        return entry, cell, aim(cell, environment.device(device), batch_of(cell, environment.device(device)))


def sound(place: Path) -> Folder:
    """Return an entry that ``bench submission check`` finds nothing in, whatever its signed files say.

    Raises:
        SubmissionError: with its problems.
    """
    entry, _ = examine(place)
    wrong = problems(place)
    if wrong or entry is None:
        raise SubmissionError("\n".join([f"{str(place)!r} cannot be reviewed; bench submission check says:", *wrong]))
    return entry


def smoke_seed(words: str) -> int:
    """Return the seed that words mean: the head commit of a pull request, or anything else nobody foresaw."""
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:4], "big") >> 1


def _plan(place: Path, result: Result, places: list[Path], device: str, out: Path | None) -> Plan:
    target = out or Path("runs") / "review" / result.protocol.name / place.resolve().name
    if target.resolve() == place.resolve():
        raise UsageError(f"{str(target)!r} is the entry itself, which stays as it is; name another folder with --out.")
    return ask(
        str(place),
        result.protocol.name,
        places=tuple(places),
        norms=tuple(threat.norm for threat in result.threats),
        engine=result.engine,
        batch_size=result.batch_size,
        device=device,
        out=target,
    )


def _witnesses(place: Path) -> Mapping[str, NDArray[Any]]:
    return read_arrays(place / WITNESSES_FILE, judge=judge_witnesses)


def compare_again(found: Review, run: Path) -> Again:
    """Hold another run of the whole protocol against the entry, point by point; return what it leaves standing.

    Raises:
        SubmissionError: if that run is no standard one, so that it says nothing.
    """
    result, entry, table = read_result(run / RESULT_FILE), found.entry, found.table
    if not result.standard:
        raise SubmissionError(
            f"{str(run)!r} is not a standard run ({'; '.join(result.deviations)}), so nothing is signed; measure again "
            "without deviations."
        )
    points, room = read_points(run / POINTS_FILE), RULES.room(result.data.points)
    table.hold("weights, measured again", entry.result.model.weights_sha256, result.model.weights_sha256)
    stored = _witnesses(found.place)
    again = Again.of(entry, result, points, found.every)
    for threat in again.threats:
        claimed = best_known(entry.result, entry.points)[threat.norm].count
        fell, stood = len(set(threat.fallen) - found.before(threat.norm)), len(threat.stood)
        says = f"{threat.best_known} ({fell} fell, {stood} stood; {room} of each are expected at most)"
        unproved = set(threat.stood) - set(stored[f"id_{threat.norm}"].tolist())
        table.hold(f"{threat.norm} robust, best known", claimed, says, agrees=fell <= room, lowers=True)
        if len(unproved) > room:  # a weak parent flatters its children
            table.hold(f"{threat.norm} points said to fall that stand", 0, named(sorted(unproved)), agrees=False)
    _compare_distances(found, result, points, room)
    for name, scenario in entry.result.scenarios.items():
        other = result.scenarios.get(name)
        near = other is not None and _near(
            scenario.robust.values(), map(other.robust.__getitem__, scenario.robust), room
        )
        told = _counts(other.robust) if other else "none"
        table.hold(f"{name} scenario", _counts(scenario.robust), told, agrees=near)
    compare_flags(table, entry.result.flags, result.flags, found.plan.protocol.checks)
    table.hold("collapsed", entry.result.collapsed, result.collapsed)
    found.correct = result.clean.correct
    return again


def _compare_distances(found: Review, result: Result, points: PointTable, room: int) -> None:
    """Compare what lies beyond the radius of the board: curves, and that the network is nobody else's.

    What the entry says of its distances may have been bent until it looks like no neighbour's; what the run found has
    not.
    """
    entry, table = found.entry, found.table
    for norm, curve in entry.result.curves.items():
        other = result.curves.get(norm)
        near = other is not None and _near(curve.robust, other.robust, room)
        told = ", ".join(map(str, other.robust)) if other else "none"
        table.hold(f"{norm} curve", ", ".join(map(str, curve.robust)), told, agrees=near)
    beside = neighbours(found.place.resolve().parent)
    own = beside.pop(found.place.resolve().name, entry.neighbour)
    again = own._replace(distances=distances(points))
    alike = [name for name, one in sorted(beside.items()) if disguised(again, one)]
    says = f"answers as {', '.join(alike)}" if alike else f"another than the {len(beside)} beside it"
    table.hold("network", "its authors' own", says, agrees=not alike)


def _near(claimed: Iterable[int], found: Iterable[int], room: int) -> bool:
    """Tell whether counts lie apart by no more points than are expected."""
    return all(abs(one - other) <= room for one, other in zip(claimed, found, strict=True))


def lowered(found: Review) -> Again:
    """Return what a review without another run leaves standing: the entry's own points without those that fell."""
    return Again.without(found.entry, found.every, found.correct, environment.environment())


def _counts(robust: Mapping[Norm, int]) -> str:
    return ", ".join(f"{norm} {count}" for norm, count in robust.items())

"""A cell on another machine: all that it needs is sent, and all that it makes comes back as it is made."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np

from bench.atomic import write_atomic
from bench.data.dataset import EvalSet
from bench.errors import BenchError, InputError
from bench.evaluation import environment
from bench.evaluation.conduct.carry import carry_out
from bench.evaluation.executors.executor import Files, Placed, Report
from bench.evaluation.plan.plan import Plan
from bench.lock import unfinished
from bench.models.source import ModelRef
from bench.submission.files import POINTS_FILE, RESULT_FILE, WITNESSES_FILE, sha256

RESULT = (RESULT_FILE, POINTS_FILE, WITNESSES_FILE)
"""What comes back of a cell that is finished, beside its journal."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a journal has written on the other machine: a file, or the next line of one."""

    file: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Sent:
    """One file that a node keeps once, whatever asks for it.

    Attributes:
        digest: sha256 of the content.
        name: of the file.
        placed: where the content comes from, if the node does not have it yet.
    """

    digest: str
    name: str
    placed: Placed

    def unpacked(self, home: Path) -> Path:
        """Return the path of the file on this node."""
        path = home / "placed" / self.digest / self.name
        if not path.is_file():
            content = self.placed()[self.name]
            if sha256(content) != self.digest:
                raise BenchError(f"{self.name} did not arrive as it was sent; try again.")
            write_atomic(path, content)
        return path


@dataclass(frozen=True, slots=True)
class Sets:
    """A data set of which only these points are at hand, each file those of one split.

    Attributes:
        files: split and path.
        absent: split, and why its points were not at hand where they were looked for.
    """

    files: tuple[tuple[str, Path], ...]
    absent: tuple[tuple[str, str], ...]

    def __call__(self, split: str, wanted: Sequence[int]) -> EvalSet:
        """Return points in the order wanted."""
        for name, path in self.files:
            if name == split:
                found = _read_set(path)
                if set(wanted) <= set(found.ids.tolist()):
                    return found.take(wanted)
        why = next((says for name, says in self.absent if name == split), "they were not sent")
        raise InputError(f"points of {split!r} are not at hand: {why}")


@dataclass(frozen=True, slots=True)
class Order:
    """What is sent for one cell, or a part of it.

    Attributes:
        plan: as it is settled where the results go.
        part: ids of the points; None for the whole.
        code: which code is asked, so that no other answers.
        weights: of models that are files, by the path that the plan names them by.
        sets: the points, by split.
        absent: see ``Sets``.
        parent: the name of the folder of the parent's run and what is in it, if there is one.
        beside: unfinished work of this cell and its parts, by the name of its folder.
    """

    plan: Plan
    part: tuple[int, ...] | None
    code: str
    weights: tuple[tuple[str, Sent], ...]
    sets: tuple[tuple[str, Sent], ...]
    absent: tuple[tuple[str, str], ...]
    parent: tuple[str, Placed] | None
    beside: dict[str, Files]


def carry_out_away(order: Order, report: Report) -> Files:
    """Carry out an order in a folder of this machine that is gone afterwards; return the files of the result.

    Raises:
        BenchError: if other code is installed here, or as the run itself does.
    """
    if order.code != code():
        raise BenchError(
            f"a node has other code than was asked ({code()} instead of {order.code}); install the same there."
        )
    with _place() as (home, place):
        try:
            plan = _unpacked(order, home, place)
            carry_out(plan, order.part, report, lambda file, content: report(Kept(file, content)))
            return {} if order.part else {name: (plan.out / name).read_bytes() for name in RESULT}
        except BenchError as error:
            # paths of this machine mean nothing to whoever reads this
            raise type(error)(str(error).replace(f"{place}/", "")) from None


def code() -> str:
    """Return which code this is."""
    found = environment.environment()
    return f"{found['prunebench']} {found.get('commit', '')}".strip()


def packed(points: EvalSet) -> bytes:
    """Return points as the bytes of one file."""
    file = BytesIO()
    words = {
        "name": points.name,
        "split": points.split,
        "classes": points.classes,
        "files": list(points.read_from),
        "file_digests": list(points.read_from.values()),
    }
    np.savez_compressed(
        file,
        allow_pickle=False,
        pixels=points.pixels,
        scale=np.int64(points.scale),
        labels=points.labels,
        ids=points.ids,
        **{key: np.array(value, dtype=np.str_) for key, value in words.items()},
    )
    return file.getvalue()


def _read_set(path: Path) -> EvalSet:
    with np.load(path, allow_pickle=False) as found:
        return EvalSet(
            name=str(found["name"]),
            split=str(found["split"]),
            pixels=found["pixels"],
            scale=int(found["scale"]),
            labels=found["labels"],
            ids=found["ids"],
            classes=tuple(found["classes"].tolist()),
            read_from=dict(zip(found["files"].tolist(), found["file_digests"].tolist(), strict=True)),
        )


def _unpacked(order: Order, home: Path, place: Path) -> Plan:
    plan, request = order.plan, order.plan.request
    weights = {name: str(sent.unpacked(home)) for name, sent in order.weights}
    sets = Sets(tuple((split, sent.unpacked(home)) for split, sent in order.sets), order.absent)
    out = place / plan.out.name
    for folder, files in order.beside.items():
        for name, content in files.items():
            write_atomic(place / folder / name, content)
    parent_run = None
    if order.parent is not None:
        folder, placed = order.parent
        for name, content in placed().items():
            write_atomic(place / folder / name, content)
        parent_run = place / folder if request.parent_run is not None else None
    origin = request.origin
    if origin is not None and origin.parent is not None:
        origin = replace(origin, parent=_moved(origin.parent, weights))
    request = replace(request, model=_moved(request.model, weights), origin=origin, parent_run=parent_run)
    return replace(plan, request=request, source=replace(plan.source, load=sets), out=out)


def _moved(ref: ModelRef, weights: dict[str, str]) -> ModelRef:
    return replace(ref, name=weights[ref.name]) if ref.source == "checkpoint" else ref


@contextmanager
def _place() -> Iterator[tuple[Path, Path]]:
    """Give the folder of this user on this machine, and in it one for a single piece of work, gone in the end.

    Raises:
        BenchError: if somebody else made the folder.
    """
    home = Path(tempfile.gettempdir()) / f"prunebench-{os.getuid()}"
    home.mkdir(mode=0o700, exist_ok=True)
    if home.stat().st_uid != os.getuid() or home.is_symlink():
        raise BenchError(f"{str(home)!r} belongs to somebody else; set TMPDIR to a folder of your own.")
    for left in home.glob("work-*-*"):
        if not _lives(int(left.name.split("-")[1])):  # its process was killed
            shutil.rmtree(left, ignore_errors=True)
    place = Path(tempfile.mkdtemp(prefix=f"work-{os.getpid()}-", dir=home))
    try:
        yield home, place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's, with the number of one that ended
    return True


def beside_of(*places: Path) -> dict[str, Files]:
    """Return the unfinished work at some places, by the name of its folder; locks stay where they are."""
    found: dict[str, Files] = {}
    for folder in map(unfinished, places):
        files = [path for path in folder.glob("*") if path.is_file() and path.name != "lock"]
        if files:
            found[folder.name] = {path.name: path.read_bytes() for path in files}
    return found

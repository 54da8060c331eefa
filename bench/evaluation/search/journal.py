"""Finished work on disk, so that a killed run resumes where it was."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench import lock
from bench.atomic import add_line, write_atomic
from bench.attacks.attack import Passes
from bench.errors import BenchError, UsageError
from bench.submission.arrays import pack_arrays, read_arrays

_HEADER = "run.json"
LINES = "journal.jsonl"
"""File of a journal with one line for each finished batch."""
_SEAL = "seal"

Tell = Callable[[str], None]
"""Takes one sentence for whoever watches the run."""

Written = Callable[[str, bytes], None]
"""Takes what a journal has written: the name of the file, and its content, or the line that was added to it."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What was attacked together, and by what: with the run's header, all that the proposals depend on.

    Attributes:
        work: threat model, attack and settings.
        rounds: indices of the attack's rounds that ran side by side.
        points: a name for each point, which tells the image, the label and all else that the attack saw of it.
    """

    work: str
    rounds: tuple[int, ...]
    points: tuple[str, ...]

    @property
    def key(self) -> str:
        """A name for the batch."""
        return _digest([self.work, self.rounds, self.points])


@dataclass(frozen=True, slots=True)
class Entry:
    """What an attack proposed for one batch of points in one round.

    The journal keeps proposals and never verdicts: on resume the harness judges them again.

    Attributes:
        ids: the points that moved, int64; the rest kept their clean image.
        images: their candidates, float32 NCHW.
        rounds: index of the round that each candidate comes from.
    """

    ids: NDArray[np.int64]
    images: NDArray[np.float32]
    rounds: NDArray[np.int64]
    forwards: int
    backwards: int


class _Line(BaseModel):
    """One finished batch, as the journal's file names it."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    work: str
    rounds: tuple[int, ...]
    points: tuple[str, ...]
    forwards: Annotated[int, Field(ge=0)]
    backwards: Annotated[int, Field(ge=0)]
    seconds: Annotated[float, Field(ge=0)]
    """How long the run had taken until then, interruptions left out."""
    sha256: str
    """Of the file of candidates."""
    seal: str = ""
    """Over the header of the run and all the rest of this line."""

    @property
    def key(self) -> str:
        """The name of the batch."""
        return Batch(self.work, self.rounds, self.points).key

    def sealed(self, header: dict[str, Any]) -> "_Line":
        """Return the line with the seal that is right for it."""
        return self.model_copy(update={"seal": _digest([header, self.model_dump(exclude={"seal"})])})


class _Found(NamedTuple):
    line: _Line
    content: bytes
    took: float
    """Seconds."""


@dataclass(slots=True)
class Journal:
    """The append-only record of one run, in a folder of its own.

    A line names a file of candidates by its sha256, is written after it, and bears a seal over all that the batch
    depends on: a torn line, a missing file or changed bytes are work that was lost, never work that is wrong, and each
    loses its own batch only.

    Work that another run has finished under the same header is found too, and then becomes part of this journal.

    Attributes:
        since: when this part of the run began, by ``time.perf_counter``.
    """

    folder: Path
    since: float
    _header: dict[str, Any]
    _tell: Tell
    _written: Written = lambda *_: None
    _known: dict[str, _Line] = field(default_factory=dict)
    _others: list["Journal"] = field(default_factory=list)
    _places: dict[tuple[str, int], dict[str, str]] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)
    _durations: dict[str, float] = field(default_factory=dict)
    _earlier: float = 0.0
    _warned: bool = False

    @classmethod
    def open(
        cls,
        folder: Path,
        header: dict[str, Any],
        *,
        resume: bool,
        since: float | None = None,
        tell: Tell = lambda _: None,
        others: Iterable[Path] = (),
        written: Written = lambda *_: None,
    ) -> "Journal":
        """Open the journal of a run, or start one.

        Args:
            folder: where it lives; whoever opens it holds the folder's lock.
            header: everything the run's numbers depend on.
            resume: go on with what is there; otherwise start afresh.
            since: when this part of the run began, if that was earlier than now.
            tell: hears of damage, once.
            others: folders of other runs' journals; those under another header are passed over.
            written: hears of every file and line once it is on disk, so that it can be kept elsewhere, too.

        Raises:
            UsageError: if the folder holds another run's work.
            BenchError: if the folder cannot be read or written.
        """
        journal = cls(folder, time.perf_counter() if since is None else since, header, tell, written)
        try:
            if not resume:
                clear(folder)
            if not journal._is_ours():
                content = json.dumps({**header, _SEAL: _digest(header)}, sort_keys=True, indent=2).encode()
                write_atomic(folder / _HEADER, content)
                written(_HEADER, content)
            journal._read()
        except OSError as error:
            raise BenchError(f"cannot read the journal in {str(folder)!r} ({error.strerror}).") from None
        for other in others:
            journal._learn(other)
        return journal

    def where(self, work: str, index: int) -> Mapping[str, str]:
        """Return the batch of each point that was attacked in one round: names of points to keys."""
        return self._places.get((work, index), {})

    def find(self, key: str) -> Entry | None:
        """Return the finished work of a batch, if it is there and whole; it costs what it did the first time only."""
        found = self.peek(key)
        if found is None:
            others = (other.peek(key) for other in self._others)
            found = next((one for one in others if one is not None), None)
            if found is None:
                return None
            self._earlier += found.took
            self._write(found.line, found.content)
        line = found.line
        free = key in self._used
        self._used.add(key)
        arrays = read_arrays(self.folder / _name(key))
        cost = (0, 0) if free else (line.forwards, line.backwards)
        return Entry(arrays["ids"], arrays["images"], arrays["rounds"], *cost)

    def add(self, batch: Batch, entry: Entry) -> None:
        """Record finished work."""
        content = pack_arrays({"ids": entry.ids, "images": entry.images, "rounds": entry.rounds})
        line = _Line(
            work=batch.work,
            rounds=batch.rounds,
            points=batch.points,
            forwards=entry.forwards,
            backwards=entry.backwards,
            seconds=0.0,
            sha256=hashlib.sha256(content).hexdigest(),
        )
        self._write(line, content)
        self._used.add(line.key)

    def _write(self, line: _Line, content: bytes) -> None:
        line = line.model_copy(update={"seconds": round(self.seconds, 3)}).sealed(self._header)
        write_atomic(self.folder / _name(line.key), content)
        added = line.model_dump_json().encode() + b"\n"
        add_line(self.folder / LINES, added)
        self._file(line)
        self._written(_name(line.key), content)
        self._written(LINES, added)

    def _file(self, line: _Line) -> None:
        key = line.key
        self._known[key] = line
        for index in line.rounds:
            self._places.setdefault((line.work, index), {}).update(dict.fromkeys(line.points, key))

    def peek(self, key: str) -> "_Found | None":
        """Return a batch of this journal alone as it lies on disk, if it is there and whole."""
        line = self._known.get(key)
        if line is None:
            return None
        try:
            content = (self.folder / _name(key)).read_bytes()
        except OSError:
            content = b""
        if hashlib.sha256(content).hexdigest() == line.sha256:
            return _Found(line, content, self._durations.get(key, 0.0))
        self._warn()
        return None

    @property
    def seconds(self) -> float:
        """How long the run has taken so far, the parts before each interruption included."""
        return self._earlier + time.perf_counter() - self.since

    @property
    def at_once(self) -> bool:
        """Whether all of the run happened since it was opened: nothing before an interruption, nothing of another."""
        return self._earlier == 0.0

    @property
    def unused(self) -> Passes:
        """The passes of finished work that was not asked for again, as after going on with another batch size."""
        left = [line for key, line in self._known.items() if key not in self._used]
        return Passes(sum(line.forwards for line in left), sum(line.backwards for line in left))

    def __len__(self) -> int:
        """Return how many batches are finished."""
        return len(self._known)

    def keep(self, folder: Path) -> None:
        """Move the journal of a run whose result is written to where later runs find it."""
        keep(self.folder, folder)
        self.folder = folder

    def _learn(self, folder: Path) -> None:
        """Take note of what another run has finished; whatever is damaged there is passed over."""
        other = Journal(folder, self.since, self._header, lambda _: None)
        try:
            if not other._is_ours():
                return
            other._read()
        except (OSError, UsageError):
            return
        self._others.append(other)
        for place, points in other._places.items():
            mine = self._places.setdefault(place, {})
            mine.update({point: key for point, key in points.items() if point not in mine})

    def _is_ours(self) -> bool:
        """Tell whether the folder says that it holds this run; one whose header is damaged says nothing."""
        if not (self.folder / _HEADER).exists():
            return False
        names = another(self.folder, self._header)
        if names is None:
            self._warn()
        elif names:
            raise UsageError(
                f"{str(self.folder)!r} holds an unfinished run with another {', '.join(names)}; "
                "start afresh with --no-resume, or choose another --out."
            )
        return names == []

    def _read(self) -> None:
        path = self.folder / LINES
        if not path.exists():
            return
        lines = path.read_bytes().split(b"\n")
        for raw in filter(None, lines):
            try:
                line = _Line.model_validate_json(raw)
            except ValidationError:
                self._warn()
                continue
            if line != line.sealed(self._header):
                self._warn()
                continue
            self._durations[line.key] = max(0.0, line.seconds - self._earlier)
            self._file(line)
            self._earlier = max(self._earlier, line.seconds)

    def _warn(self) -> None:
        if not self._warned:
            self._tell(f"Part of the unfinished work in {str(self.folder)!r} is damaged; that part is done again.")
        self._warned = True


def keep(journal: Path, folder: Path) -> None:
    """Move a journal into another folder; a lock stays where it is.

    Raises:
        BenchError: if that cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in journal.iterdir():
            if path.name != lock.FILE:
                path.replace(folder / path.name)
    except OSError as error:
        raise BenchError(f"cannot keep the journal in {str(folder)!r} ({error.strerror}).") from None


def clear(folder: Path) -> None:
    """Remove whatever a folder of unfinished work holds, but for the lock."""
    for path in folder.iterdir() if folder.exists() else ():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != lock.FILE:
            path.unlink()


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _name(key: str) -> str:
    return f"{key[:32]}.npz"


def another(folder: Path, header: Mapping[str, Any]) -> list[str] | None:
    """Return what differs between a header and that of a folder's journal; None where the folder tells of none.

    Raises:
        OSError: if there is one that cannot be read.
    """
    path = folder / _HEADER
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_bytes())
        sealed = found.pop(_SEAL) == _digest(found)
    except (ValueError, RecursionError, AttributeError, TypeError, KeyError):
        return None
    names = {*found, *header}
    return sorted(name for name in names if found.get(name) != header.get(name)) if sealed else None


def holds_work(folder: Path) -> bool:
    """Tell whether finished batches of an interrupted run lie in a folder."""
    lines = folder / LINES
    return lines.is_file() and lines.stat().st_size > 0

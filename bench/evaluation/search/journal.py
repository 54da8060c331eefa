"""Finished work on disk, so that a killed run resumes where it was."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench import lock
from bench.atomic import write_atomic
from bench.attacks.attack import Passes
from bench.errors import BenchError, UsageError
from bench.submission.arrays import pack_arrays, read_arrays

_HEADER = "run.json"
_LINES = "journal.jsonl"
_SEAL = "seal"

Tell = Callable[[str], None]
"""Takes one sentence for whoever watches the run."""


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

    key: str
    forwards: Annotated[int, Field(ge=0)]
    backwards: Annotated[int, Field(ge=0)]
    seconds: Annotated[float, Field(ge=0)]
    """How long the run had taken until then, interruptions left out."""
    sha256: str
    """Of the file of candidates."""
    seal: str = ""
    """Over the header of the run and all the rest of this line."""

    def sealed(self, header: dict[str, Any]) -> "_Line":
        """Return the line with the seal that is right for it."""
        return self.model_copy(update={"seal": _digest([header, self.model_dump(exclude={"seal"})])})


@dataclass(slots=True)
class Journal:
    """The append-only record of one run, in a folder of its own.

    A line names a file of candidates by its sha256, is written after it, and bears a seal over all that the batch
    depends on: a torn line, a missing file or changed bytes are work that was lost, never work that is wrong, and each
    loses its own batch only.

    Attributes:
        since: when this part of the run began, by ``time.perf_counter``.
    """

    folder: Path
    since: float
    _header: dict[str, Any]
    _tell: Tell
    _known: dict[str, _Line] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)
    _earlier: float = 0.0
    _torn: bool = False
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
    ) -> "Journal":
        """Open the journal of a run, or start one.

        Args:
            folder: where it lives; whoever opens it holds the folder's lock.
            header: everything the run's numbers depend on.
            resume: go on with what is there; otherwise start afresh.
            since: when this part of the run began, if that was earlier than now.
            tell: hears of damage, once.

        Raises:
            UsageError: if the folder holds another run's work.
            BenchError: if the folder cannot be read or written.
        """
        journal = cls(folder, time.perf_counter() if since is None else since, header, tell)
        try:
            if not resume:
                journal._clear()
            if not journal._is_ours():
                content = {**header, _SEAL: _digest(header)}
                write_atomic(folder / _HEADER, json.dumps(content, sort_keys=True, indent=2).encode())
            journal._read()
        except OSError as error:
            raise BenchError(f"cannot read the journal in {str(folder)!r} ({error.strerror}).") from None
        return journal

    def find(self, key: str) -> Entry | None:
        """Return the finished work under ``key``, if it is there and whole."""
        line = self._known.get(key)
        if line is None:
            return None
        path = self.folder / _name(key)
        try:
            content = path.read_bytes()
        except OSError:
            content = b""
        if hashlib.sha256(content).hexdigest() != line.sha256:
            self._warn()
            return None
        arrays = read_arrays(path)
        self._used.add(key)
        return Entry(arrays["ids"], arrays["images"], arrays["rounds"], line.forwards, line.backwards)

    def add(self, key: str, entry: Entry) -> None:
        """Record finished work."""
        content = pack_arrays({"ids": entry.ids, "images": entry.images, "rounds": entry.rounds})
        line = _Line(
            key=key,
            forwards=entry.forwards,
            backwards=entry.backwards,
            seconds=round(self.seconds, 3),
            sha256=hashlib.sha256(content).hexdigest(),
        ).sealed(self._header)
        write_atomic(self.folder / _name(key), content)
        try:
            with (self.folder / _LINES).open("ab") as file:
                # after a torn line, or the next one would be glued to it
                file.write(b"\n" * self._torn + line.model_dump_json().encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise BenchError(f"cannot write the journal in {str(self.folder)!r} ({error.strerror}).") from None
        self._torn = False
        self._known[key] = line
        self._used.add(key)

    @property
    def seconds(self) -> float:
        """How long the run has taken so far, the parts before each interruption included."""
        return self._earlier + time.perf_counter() - self.since

    @property
    def unused(self) -> Passes:
        """The passes of finished work that was not asked for again, as after going on with another batch size."""
        left = [line for key, line in self._known.items() if key not in self._used]
        return Passes(sum(line.forwards for line in left), sum(line.backwards for line in left))

    def __len__(self) -> int:
        """Return how many batches are finished."""
        return len(self._known)

    def close(self) -> None:
        """Remove the journal of a run whose result is written."""
        self._clear()

    def _is_ours(self) -> bool:
        """Tell whether the folder says that it holds this run; one whose header is damaged says nothing."""
        path = self.folder / _HEADER
        if not path.exists():
            return False
        try:
            found = json.loads(path.read_bytes())
            sealed = found.pop(_SEAL) == _digest(found)
        except (ValueError, RecursionError, AttributeError, TypeError, KeyError):
            sealed, found = False, {}
        if not sealed:
            self._warn()
            return False
        if found != self._header:
            names = sorted(name for name in {*found, *self._header} if found.get(name) != self._header.get(name))
            raise UsageError(
                f"{str(self.folder)!r} holds an unfinished run with another {', '.join(names)}; "
                "start afresh with --no-resume, or choose another --out."
            )
        return True

    def _read(self) -> None:
        path = self.folder / _LINES
        if not path.exists():
            return
        lines = path.read_bytes().split(b"\n")
        self._torn = lines[-1] != b""
        for raw in filter(None, lines):
            try:
                line = _Line.model_validate_json(raw)
            except ValidationError:
                self._warn()
                continue
            if line != line.sealed(self._header):
                self._warn()
                continue
            self._known[line.key] = line
            self._earlier = max(self._earlier, line.seconds)

    def _warn(self) -> None:
        if not self._warned:
            self._tell(f"Part of the unfinished work in {str(self.folder)!r} is damaged; that part is done again.")
        self._warned = True

    def _clear(self) -> None:
        for path in self.folder.iterdir() if self.folder.exists() else ():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != lock.FILE:
                path.unlink()


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _name(key: str) -> str:
    return f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"


def holds_work(folder: Path) -> bool:
    """Tell whether finished batches of an interrupted run lie in a folder."""
    lines = folder / _LINES
    return lines.is_file() and lines.stat().st_size > 0

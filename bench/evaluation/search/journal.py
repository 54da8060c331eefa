"""Finished work on disk, so that a killed run resumes where it was."""

import hashlib
import json
import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.atomic import write_atomic
from bench.attacks.attack import Passes
from bench.errors import BenchError, UsageError
from bench.submission.files import pack_arrays, read_arrays

_HEADER = "run.json"
_LINES = "journal.jsonl"


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


@dataclass(slots=True)
class Journal:
    """The append-only record of one run, in a folder of its own.

    A line names a file of candidates by its sha256 and is written after it, so a torn line or a missing file is
    work that was lost, never work that is wrong. At most one batch is lost to a kill. Each line also says how many
    seconds the run had taken until then, interruptions left out.

    Attributes:
        since: when this part of the run began, by ``time.perf_counter``.
    """

    folder: Path
    since: float = field(default_factory=time.perf_counter)
    _known: dict[str, dict[str, Any]] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)
    _earlier: float = 0.0

    @classmethod
    def open(cls, folder: Path, header: dict[str, Any], *, resume: bool, since: float | None = None) -> "Journal":
        """Open the journal of a run, or start one.

        Args:
            folder: where it lives.
            header: everything the run's numbers depend on.
            resume: go on with what is there; otherwise start afresh.
            since: when this part of the run began, if that was earlier than now.

        Raises:
            UsageError: if the folder holds another run's work.
        """
        if folder.exists() and not resume:
            shutil.rmtree(folder)
        head = folder / _HEADER
        if head.exists():
            found = json.loads(head.read_text("utf-8"))
            if found != header:
                changed = sorted(key for key in {*found, *header} if found.get(key) != header.get(key))
                raise UsageError(
                    f"{str(folder)!r} holds an unfinished run with another {', '.join(changed)}; "
                    "start afresh with --no-resume, or choose another --out."
                )
        else:
            write_atomic(head, json.dumps(header, sort_keys=True, indent=2).encode())
        journal = cls(folder, time.perf_counter() if since is None else since)
        journal._read()
        return journal

    def find(self, key: str) -> Entry | None:
        """Return the finished work under ``key``, if it is there and whole."""
        line = self._known.get(key)
        if line is None:
            return None
        path = self.folder / line["file"]
        if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != line["sha256"]:
            return None
        arrays = read_arrays(path)
        self._used.add(key)
        return Entry(arrays["ids"], arrays["images"], arrays["rounds"], line["forwards"], line["backwards"])

    def add(self, key: str, entry: Entry) -> None:
        """Record finished work."""
        content = pack_arrays({"ids": entry.ids, "images": entry.images, "rounds": entry.rounds})
        digest = hashlib.sha256(content).hexdigest()
        name = f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
        write_atomic(self.folder / name, content)
        line = {
            "key": key,
            "file": name,
            "sha256": digest,
            "forwards": entry.forwards,
            "backwards": entry.backwards,
            "seconds": round(self.seconds, 3),
        }
        try:
            with (self.folder / _LINES).open("ab") as file:
                file.write(json.dumps(line).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise BenchError(f"cannot write the journal in {str(self.folder)!r} ({error.strerror}).") from None
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
        return Passes(sum(line["forwards"] for line in left), sum(line["backwards"] for line in left))

    def __len__(self) -> int:
        """Return how many batches are finished."""
        return len(self._known)

    def close(self) -> None:
        """Remove the journal of a run whose result is written."""
        shutil.rmtree(self.folder)

    def _read(self) -> None:
        path = self.folder / _LINES
        if not path.exists():
            return
        content = path.read_bytes()
        for raw in content.splitlines():
            try:
                line = json.loads(raw)
            except json.JSONDecodeError:
                continue
            self._known[line["key"]] = line
            self._earlier = max(self._earlier, line["seconds"])
        if content and not content.endswith(b"\n"):
            with path.open("ab") as file:  # end the torn line, or the next one would be glued to it
                file.write(b"\n")

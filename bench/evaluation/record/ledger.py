"""The record of a sweep beside its cells: which they are, and what became of each, line by line as it happens.

Plain files, for whoever looks in: ``sweep.json`` says what is to be done, ``sweep.jsonl`` what happened, and both can
be read while the sweep runs, with any tool, from any machine that sees the folder. A database would have to be asked,
and SQLite's locks are not to be trusted on the file systems that clusters share. What counts of a cell is its own
folder alone, so a line that is lost costs a sentence and never a number.
"""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.atomic import add_line, write_atomic
from bench.errors import InputError
from bench.submission.files import dump

PLAN_FILE, LINES_FILE = "sweep.json", "sweep.jsonl"
SCHEMA = "bench.sweep/1"

State = Literal["running", "again", "done", "there", "failed"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class CellRecord(_Record):
    """One cell, as it was planned."""

    name: str
    parent: str | None = None
    points: Annotated[int, Field(ge=1)]


class SweepRecord(_Record):
    """What a sweep is to do."""

    schema_: Annotated[str, Field(alias="schema", pattern=f"^{SCHEMA}$")] = SCHEMA
    protocol: str
    preset: str
    shard: tuple[int, int] | None = None
    cells: tuple[CellRecord, ...]


class Line(_Record):
    """What happened to a cell.

    Attributes:
        at: by the clock on the wall, for people.
        seconds: since the sweep began, by a clock that never goes back.
        took: of the cell, likewise; None where it was not carried out now.
    """

    cell: str
    state: State
    says: str = ""
    at: str
    seconds: Annotated[float, Field(ge=0)]
    took: Annotated[float, Field(ge=0)] | None = None


@dataclass(slots=True)
class Ledger:
    """Writes the record of a sweep that runs."""

    folder: Path
    _began: float = field(default_factory=time.monotonic)
    _since: dict[str, float] = field(default_factory=dict)

    def begin(self, record: SweepRecord) -> None:
        """Write down what is to be done; what happened before stays."""
        write_atomic(self.folder / PLAN_FILE, dump(record))

    def note(self, cell: str, state: State, says: str = "") -> None:
        """Add a line, and see it on disk.

        Raises:
            BenchError: if the disk is full or the place cannot be written.
        """
        now = time.monotonic() - self._began
        if state == "running":
            self._since.setdefault(cell, now)
        took = round(now - self._since[cell], 3) if state in {"done", "failed"} and cell in self._since else None
        at = datetime.now(tz=UTC).isoformat(timespec="seconds")
        line = Line(cell=cell, state=state, says=says, at=at, seconds=round(now, 3), took=took)
        add_line(self.folder / LINES_FILE, line.model_dump_json().encode() + b"\n")


def read_plan(folder: Path) -> SweepRecord:
    """Read what a sweep is to do.

    Raises:
        InputError: if the folder is none of a sweep, or its record is damaged.
    """
    path = folder / PLAN_FILE
    try:
        return SweepRecord.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{str(folder)!r} is no folder of a sweep ({PLAN_FILE}: {error.strerror}).") from None
    except ValidationError as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{str(path)!r} is damaged ({reason}); the command of the sweep writes it anew.") from None


def read_lines(folder: Path) -> tuple[list[Line], int]:
    """Read what happened, in order, and how many lines are damaged and left out."""
    try:
        raw = (folder / LINES_FILE).read_bytes().split(b"\n")
    except OSError:
        return [], 0
    found, damaged = [], 0
    for line in filter(None, raw):
        try:
            found.append(Line.model_validate_json(line))
        except (ValidationError, json.JSONDecodeError):
            damaged += 1
    return found, damaged


def last_of(lines: Iterable[Line]) -> dict[str, Line]:
    """Return the last line of each cell."""
    return {line.cell: line for line in lines}


def record_of(
    protocol: str, preset: str, cells: Sequence[tuple[str, str | None, int]], shard: tuple[int, int] | None
) -> SweepRecord:
    """Return the record of cells, each with its name, its parent's and its points."""
    told = tuple(CellRecord(name=name, parent=parent, points=points) for name, parent, points in cells)
    return SweepRecord(protocol=protocol, preset=preset, shard=shard, cells=told)

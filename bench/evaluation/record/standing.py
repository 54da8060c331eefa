"""Where the cells of a sweep stand, read from their folders: also while it runs, and from any process."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bench.errors import BenchError
from bench.evaluation.record.ledger import CellRecord, Line, SweepRecord, last_of, read_lines, read_plan
from bench.evaluation.search.journal import LINES, holds_work
from bench.lock import holder, unfinished
from bench.submission.files import RESULT_FILE, read_result
from bench.submission.schema import Result


class Standing(StrEnum):
    """What can be said of a cell."""

    DONE = "done"
    RUNNING = "running"
    STOPPED = "interrupted"
    FAILED = "failed"
    WAITING = "to do"


@dataclass(frozen=True, slots=True)
class CellStatus:
    """Where one cell stands.

    Attributes:
        batches: of attacks in the journals of unfinished work.
        says: why it failed, or who is at it.
        took: seconds, where the sweep carried it out.
        result: where it is done.
    """

    cell: CellRecord
    state: Standing
    batches: int
    says: str
    took: float | None
    result: Result | None


@dataclass(frozen=True, slots=True)
class SweepStatus:
    """Where a sweep stands.

    Attributes:
        damaged: lines of its record that cannot be read; what they said is lost, and no number with it.
        holder: who carries it out now, in the words of the lock; None where nobody does.
    """

    folder: Path
    record: SweepRecord
    cells: tuple[CellStatus, ...]
    damaged: int
    holder: str | None

    def count(self, state: Standing) -> int:
        """Return how many cells stand there."""
        return sum(cell.state is state for cell in self.cells)

    @property
    def whole(self) -> bool:
        """Whether every cell is done."""
        return self.count(Standing.DONE) == len(self.cells)

    @property
    def seconds_left(self) -> float | None:
        """How long what is left would take one worker, at the mean of the cells that were carried out."""
        took = [cell.took for cell in self.cells if cell.took is not None and cell.state is Standing.DONE]
        left = len(self.cells) - self.count(Standing.DONE)
        return sum(took) / len(took) * left if took else None


def status(folder: Path) -> SweepStatus:
    """Read where a sweep stands.

    Raises:
        InputError: if the folder is none of a sweep, or its record is damaged.
    """
    record = read_plan(folder)
    lines, damaged = read_lines(folder)
    last = last_of(lines)
    took = {line.cell: line.took for line in lines if line.state == "done"}
    cells = tuple(_cell(folder, cell, last.get(cell.name), took.get(cell.name)) for cell in record.cells)
    return SweepStatus(folder, record, cells, damaged, holder(folder / SWEEP))


SWEEP = ".sweep"
"""What the place of a sweep itself is called, which one process holds at a time."""


def standing(out: Path, last: Line | None = None) -> Standing:
    """Return where the cell of a folder stands; ``last`` is what its sweep wrote last."""
    if (out / RESULT_FILE).is_file():
        return Standing.DONE
    places = _places(out)
    if any(holder(place) for place in places):
        return Standing.RUNNING
    if last is not None and last.state == "failed":
        return Standing.FAILED
    return Standing.STOPPED if any(holds_work(unfinished(place)) for place in places) else Standing.WAITING


def _cell(folder: Path, cell: CellRecord, last: Line | None, took: float | None) -> CellStatus:
    out = folder / cell.name
    state, says, result = standing(out, last), "", None
    if state is Standing.DONE:
        try:
            result = read_result(out / RESULT_FILE)
        except BenchError as error:
            state, says = Standing.FAILED, str(error)
    if state is Standing.FAILED and last is not None:
        says = says or last.says
    batches = sum(_batches(unfinished(place)) for place in _places(out)) if state is not Standing.DONE else 0
    return CellStatus(cell, state, batches, says, took, result)


def _places(out: Path) -> list[Path]:
    """Return the place of a cell and those of its parts."""
    parts = sorted(out.parent.glob(f"{out.name}--part-*.partial"))
    return [out, *(part.with_name(part.name.removesuffix(".partial")) for part in parts)]


def _batches(folder: Path) -> int:
    try:
        return (folder / LINES).read_bytes().count(b"\n")
    except OSError:
        return 0


def states(cells: Iterable[tuple[str, Path]], folder: Path) -> dict[str, Standing]:
    """Return where each cell stands, given by its name and its folder, before a sweep into ``folder`` begins."""
    last = last_of(read_lines(folder)[0])
    return {name: standing(out, last.get(name)) for name, out in cells}

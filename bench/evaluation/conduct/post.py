"""What goes out to other machines for a cell and comes back: files are placed once, work is kept as it arrives."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.atomic import add_line, write_atomic
from bench.errors import AbsentError, InputError
from bench.evaluation.conduct.adding import KEPT
from bench.evaluation.conduct.away import RESULT, Kept, Order, Sent, beside_of, code, packed
from bench.evaluation.conduct.parts import parts_of, place_of
from bench.evaluation.executors.executor import Executor, Files, Placed
from bench.evaluation.plan.plan import Plan
from bench.evaluation.record import result
from bench.evaluation.search.journal import LINES, clear, keep
from bench.lock import held, unfinished
from bench.pruning.prune import needs_images
from bench.submission.files import sha256

_Points = tuple[str, str, int, int]
"""Data set, split, first id and the one after the last."""


@dataclass(slots=True)
class Post:
    """Sends orders and keeps what comes back, each cell's place held while it is away.

    Attributes:
        executor: to whom files go.
        chunk: points of a part, where cells are cut.
    """

    executor: Executor
    chunk: int | None = None
    _files: dict[object, Sent] = field(default_factory=dict)
    _absent: dict[_Points, str] = field(default_factory=dict)
    _parents: dict[Path, Placed] = field(default_factory=dict)
    _held: dict[Path, ExitStack] = field(default_factory=dict)

    def order(self, plan: Plan, part: tuple[int, ...] | None, parent: Path | None) -> Order:
        """Return all that is sent for a cell, or for a part of one, and hold its place until ``release``.

        Args:
            plan: of the cell.
            part: ids of its points; None for the whole.
            parent: folder of the parent's run, if there is one.

        Raises:
            UsageError: if another process makes the cell.
            InputError: if points or weights are missing.
        """
        place = plan.out if part is None else place_of(plan, part)
        if place not in self._held:
            stack = ExitStack()
            folder = stack.enter_context(held(place))
            self._held[place] = stack
            if not plan.request.resume:
                clear(folder)
        sets = [(points[1], sent) for points in _points(plan) if (sent := self._set(plan, points))]
        absent = [(points[1], self._absent[points]) for points in _points(plan) if points in self._absent]
        parts = [] if part else [place_of(plan, one) for one in parts_of(plan, self.chunk)]
        return Order(
            plan=plan,
            part=part,
            code=code(),
            weights=tuple((name, self._weights(name)) for name in _weights(plan)),
            sets=tuple(sets),
            absent=tuple(absent),
            parent=self._parent(plan.request.parent_run or parent) if part is None else None,
            beside=beside_of(place, *parts),
        )

    @staticmethod
    def keep(place: Path, kept: Kept) -> None:
        """Keep what a journal on another machine has written.

        Raises:
            BenchError: if the disk is full or the place cannot be written.
        """
        folder = unfinished(place)
        if kept.file != LINES:
            write_atomic(folder / kept.file, kept.content)
            return
        add_line(folder / LINES, kept.content)

    @staticmethod
    def deliver(plan: Plan, files: Files) -> Path:
        """Write the result of a cell and keep its journal with it; return its folder."""
        result.place(plan.out, files)
        keep(unfinished(plan.out), plan.out / KEPT)
        return plan.out

    def release(self, place: Path) -> None:
        """Let go of the place of a cell or a part that is no longer away."""
        if (stack := self._held.pop(place, None)) is not None:
            stack.close()

    def close(self) -> None:
        """Let go of all places."""
        for place in list(self._held):
            self.release(place)

    def _set(self, plan: Plan, points: _Points) -> Sent | None:
        """Load points once for all cells, and place them; None where a run goes on without them."""
        name, split, first, last = points
        if points not in self._files and points not in self._absent:
            try:
                content = packed(plan.source.load(split, range(first, last)))
            except AbsentError:
                raise
            except InputError as error:
                self._absent[points] = str(error)
            else:
                self._files[points] = self._sent(f"{name}-{split}.npz", content)
        return self._files.get(points)

    def _weights(self, name: str) -> Sent:
        path = Path(name)
        try:
            state = path.stat()
            key = (name, state.st_mtime_ns, state.st_size)
            if key not in self._files:
                self._files[key] = self._sent(path.name, path.read_bytes())
        except OSError as error:
            raise InputError(f"cannot read {name!r} ({error.strerror}).") from None
        return self._files[key]

    def _sent(self, name: str, content: bytes) -> Sent:
        return Sent(sha256(content), name, self.executor.place({name: content}))

    def _parent(self, folder: Path | None) -> tuple[str, Placed] | None:
        if folder is None or not folder.is_dir():
            return None
        if folder not in self._parents:
            found = {name: (folder / name).read_bytes() for name in RESULT if (folder / name).is_file()}
            self._parents[folder] = self.executor.place(found)
        return folder.name, self._parents[folder]


def _weights(plan: Plan) -> list[str]:
    return list(dict.fromkeys(ref.name for ref in plan.request.refs if ref.source == "checkpoint"))


def _points(plan: Plan) -> list[_Points]:
    """Return the points that a run of a plan may ask for."""
    data, out, calibration = plan.protocol.data, plan.protocol.held_out, plan.protocol.calibration
    spans: list[tuple[str, int, int]] = [(data.split, plan.ids[0], plan.ids[-1] + 1)]
    if out is not None:  # the check on them looks at all points of the protocol, whichever are attacked
        spans = [
            (data.split, min(data.first, plan.ids[0]), max(data.first + data.points, plan.ids[-1] + 1)),
            (out.split, out.first, out.first + out.points),
        ]
    if needs_images(plan.request.recipe, plan.request.regime):
        spans.append((calibration.split, calibration.first, calibration.first + calibration.points))
    return [(plan.source.name, *span) for span in spans]

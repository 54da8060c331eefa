"""Many cells of one protocol, each after its dense parent, handed to whoever carries them out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from bench.errors import BenchError, SubmissionError
from bench.evaluation.conduct.away import Kept, carry_out_away
from bench.evaluation.conduct.carry import SILENT, Listener, Said, carry_out
from bench.evaluation.conduct.grid import Planned
from bench.evaluation.conduct.parts import parts_of, place_of, remove_parts
from bench.evaluation.conduct.post import Post
from bench.evaluation.executors.executor import Ended, Executor
from bench.evaluation.executors.here import Here
from bench.evaluation.plan.plan import Plan
from bench.evaluation.record.ledger import Ledger, State
from bench.submission.files import RESULT_FILE, read_result
from bench.threats import Scenario

BATCHES = (32, 8)
"""Points per call of an attack when a cell whose worker is gone is tried again, and once more after that."""

_Part = tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one cell.

    Attributes:
        folder: of its result; None if it failed.
        says: why it failed, or that it was there already.
        error: what was raised, where that happened in this process.
    """

    name: str
    folder: Path | None
    says: str
    error: Exception | None = None


@dataclass(slots=True)
class _Open:
    """A cell that is being carried out.

    Attributes:
        waiting: parts that the whole waits for.
        tries: how often it was tried again.
        fault: of the first part that failed.
        told: what it told of itself.
    """

    cell: Planned
    waiting: set[_Part] = field(default_factory=set)
    tries: int = 0
    fault: str = ""
    told: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Sweep:
    """Carries out cells; one that is there already is not measured again.

    Pruned cells wait for their dense parent, whose witnesses they are attacked with; where the protocol asks for that,
    none is measured without it. A cell that fails fails alone otherwise, and one whose worker is gone is tried again,
    in smaller batches where memory may be why. Verdicts belong to points, so they depend neither on who carries out a
    cell nor on the order.

    Attributes:
        hear: hears what a cell tells while it is carried out.
        ledger: where it is written down; None writes nothing.
        chunk: points of a part, where cells are cut so that many work at one.
        adding: add to finished runs what is asked for, instead of leaving them alone.
    """

    cells: Sequence[Planned]
    executor: Executor
    hear: Callable[[str, Said], None] = lambda *_: None
    ledger: Ledger | None = None
    chunk: int | None = None
    adding: bool = False
    _post: Post = field(init=False)
    _open: dict[str, _Open] = field(default_factory=dict)
    _tasks: dict[str, tuple[str, _Part]] = field(default_factory=dict)
    _children: dict[str, list[Planned]] = field(default_factory=dict)

    def run(self) -> Iterator[Outcome]:
        """Yield each cell as it ends."""
        self._post = Post(self.executor, self.chunk)
        names = {cell.name for cell in self.cells}
        first = []
        for cell in self.cells:
            if cell.parent in names:
                self._children.setdefault(cell.parent or "", []).append(cell)
            else:
                first.append(cell)
        try:
            for cell in first:
                yield from self._begin(cell)
            for ended in self.executor.ended(self._heard):
                yield from self._after(ended)
        finally:
            self._post.close()

    def _begin(self, cell: Planned) -> Iterator[Outcome]:
        if cell.plan.out.exists() and not self.adding:
            yield from self._end(_found(cell.plan), "there")
            return
        self._open[cell.name] = _Open(cell)
        self._note(cell.name, "running")
        parts: list[_Part] = [*parts_of(cell.plan, self.chunk)]
        self._open[cell.name].waiting = set(parts)
        for part in parts or [None]:
            yield from self._submit(cell.name, part)

    def _submit(self, name: str, part: _Part) -> Iterator[Outcome]:
        """Hand over a cell or a part of one; a cell for which something is missing ends here."""
        cell = self._open[name].cell
        task = name if part is None else f"{name} {part[0]}:{part[-1] + 1}"
        try:
            work: Any = partial(carry_out, cell.plan, part)
            if self.executor.away:
                parent = cell.plan.out.with_name(cell.parent) if cell.parent else None
                work = partial(carry_out_away, self._post.order(cell.plan, part, parent))
        except BenchError as error:
            yield from self._fail(name, part, Ended(task, None, str(error), error=error))
            return
        self._tasks[task] = (name, part)
        self.executor.submit(task, work)

    def _heard(self, task: str, message: Said | Kept) -> None:
        name, part = self._tasks[task]
        opened = self._open[name]
        if isinstance(message, Kept):
            self._post.keep(_place(opened.cell.plan, part), message)
            return
        if message.to == "tell":
            opened.told += message.words
        self.hear(name, message)

    def _after(self, ended: Ended) -> Iterator[Outcome]:
        name, part = self._tasks.pop(ended.name)
        opened = self._open[name]
        if ended.fault is not None:
            yield from self._fail(name, part, ended)
            return
        if self.executor.away and part is None:
            self._post.deliver(opened.cell.plan, ended.value)
        self._post.release(_place(opened.cell.plan, part))
        if part is None:
            remove_parts(opened.cell.plan, parts_of(opened.cell.plan, self.chunk))
            yield from self._end(Outcome(name, opened.cell.plan.out, " ".join(["measured", *opened.told])), "done")
            return
        yield from self._leave(name, part)

    def _fail(self, name: str, part: _Part, ended: Ended) -> Iterator[Outcome]:
        opened, fault = self._open[name], ended.fault or ""
        if ended.lost is not None and opened.tries < len(BATCHES):
            self._note(name, "again", fault)
            self.hear(name, Said("again", (f"{fault}; it is tried again",)))
            if ended.lost == "memory":
                opened.cell = replace(opened.cell, plan=_smaller(opened.cell.plan, BATCHES[opened.tries]))
            opened.tries += 1
            yield from self._submit(name, part)
            return
        if ended.lost is not None:
            fault = f"{fault}; tried {opened.tries + 1} times, the last in batches of at most {BATCHES[-1]} points"
        self._post.release(_place(opened.cell.plan, part))
        if part is None:
            yield from self._end(Outcome(name, None, fault, ended.error), "failed")
            return
        opened.fault = opened.fault or fault
        yield from self._leave(name, part)

    def _leave(self, name: str, part: _Part) -> Iterator[Outcome]:
        """Let a part go; with the last one begins the whole, or it has failed."""
        opened = self._open[name]
        opened.waiting.discard(part)
        if opened.waiting:
            return
        if opened.fault:
            yield from self._end(Outcome(name, None, opened.fault), "failed")
        else:
            yield from self._submit(name, None)

    def _end(self, outcome: Outcome, state: State) -> Iterator[Outcome]:
        state = state if outcome.folder else "failed"
        self._open.pop(outcome.name, None)
        self._note(outcome.name, state, "" if state == "there" else outcome.says)
        yield outcome
        for child in self._children.pop(outcome.name, ()):
            if outcome.folder is None and Scenario.TRANSFER in child.plan.protocol.scenarios:
                says = f"not measured, for its dense parent {outcome.name} failed"
                yield from self._end(Outcome(child.name, None, says), "failed")
            else:
                yield from self._begin(child)

    def _note(self, name: str, state: State, says: str = "") -> None:
        if self.ledger is not None:
            self.ledger.note(name, state, says)


def alone(plan: Plan, listener: Listener = SILENT) -> Path:
    """Evaluate one cell in this process, the sweep of nothing else; see ``evaluate``.

    Raises:
        BenchError: as the evaluation does.
    """
    sweep = Sweep([Planned(plan, None)], Here(), lambda _, said: said.told(listener), adding=True)
    (outcome,) = sweep.run()
    if outcome.error is not None:
        raise outcome.error
    assert outcome.folder is not None
    return outcome.folder


def _place(plan: Plan, part: _Part) -> Path:
    return plan.out if part is None else place_of(plan, part)


def _smaller(plan: Plan, batch: int) -> Plan:
    """Return a plan with smaller batches; where verdicts depend on them, as with the reference, it stays as it is."""
    if plan.request.engine == "reference":
        return plan
    return replace(plan, request=replace(plan.request, batch_size=min(plan.request.batch_size or batch, batch)))


def _found(settled: Plan) -> Outcome:
    try:
        read_result(settled.out / RESULT_FILE)
    except SubmissionError as error:
        says = f"what is there is no result; remove {str(settled.out)!r} to measure it: {error}"
        return Outcome(settled.name, None, says)
    return Outcome(settled.name, settled.out, "there already")

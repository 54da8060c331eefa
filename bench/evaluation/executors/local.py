"""Tasks carried out by worker processes of this machine."""

import multiprocessing
import os
import signal
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from bench.errors import BenchError
from bench.evaluation.executors.executor import Ended, Task
from bench.lifeline import end_with_parent

_THREADS = "OMP_NUM_THREADS"
_PATIENCE = 5.0
"""Seconds that a worker has to end when it is asked to."""


@dataclass(slots=True)
class _Worker:
    """A process and the pipe to it.

    Attributes:
        task: name of what it is at; None while it is idle.
    """

    process: SpawnProcess
    pipe: Connection
    task: str | None = None


class Local:
    """Worker processes that live from task to task; one that dies fails its own task alone and is replaced.

    A pool of ``concurrent.futures`` is no use here: it breaks as a whole when the system kills one of its processes.
    """

    def __init__(self, workers: int, threads: int) -> None:
        """Start no process yet.

        Args:
            workers: how many processes there are at most.
            threads: how many each computes with, so that all together do not crowd the processor.
        """
        self._most = workers
        self._threads = threads
        self._workers: list[_Worker] = []
        self._waiting: deque[tuple[str, Task]] = deque()

    def submit(self, name: str, task: Task) -> None:
        """Take a task; it waits until it is asked for its end, and then for a free worker."""
        self._waiting.append((name, task))

    def ended(self) -> Iterator[Ended]:
        """Yield every task as it ends, until none is left."""
        while True:
            while self._waiting and (free := self._free()):
                self._hand_over(free, *self._waiting.popleft())
            busy = [worker for worker in self._workers if worker.task is not None]
            if not busy:
                return
            ready = wait([worker.pipe for worker in busy])
            for worker in busy:
                if worker.pipe in ready:
                    yield self._collect(worker)

    def close(self) -> None:
        """End all workers; what they were at ends with them."""
        self._waiting.clear()
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(_PATIENCE)
            worker.process.kill()
            worker.process.join()
            worker.pipe.close()
        self._workers.clear()

    def _free(self) -> _Worker | None:
        """Return an idle worker that lives, a fresh one if there may be more, or None."""
        for worker in list(self._workers):
            if worker.task is None and worker.process.is_alive():
                return worker
            if worker.task is None:
                self._bury(worker)
        if len(self._workers) == self._most:
            return None
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,), name=f"bench-worker-{len(self._workers)}")
        with _environment(_THREADS, str(self._threads)):
            process.start()
        theirs.close()  # so that the pipe closes when the worker ends
        self._workers.append(worker := _Worker(process, ours))
        return worker

    @staticmethod
    def _hand_over(worker: _Worker, name: str, task: Task) -> None:
        worker.task = name
        try:
            worker.pipe.send(task)
        except OSError:
            return  # it died just now, which is what its pipe says next

    def _collect(self, worker: _Worker) -> Ended:
        assert worker.task is not None
        name, worker.task = worker.task, None
        try:
            value, fault = worker.pipe.recv()
        except (EOFError, OSError):
            return Ended(name, None, _obituary(self._bury(worker)))
        return Ended(name, value, fault)

    def _bury(self, worker: _Worker) -> int:
        """Let go of a worker that ended, and return the code it ended with."""
        self._workers.remove(worker)
        worker.pipe.close()
        worker.process.join()
        code = worker.process.exitcode
        assert code is not None
        return code


def _obituary(code: int) -> str:
    if code >= 0:
        return f"its process ended by itself with code {code}"
    name = signal.Signals(-code).name
    reason = ", as a system does that runs out of memory" if name == "SIGKILL" else ""
    return f"its process was ended by {name}{reason}"


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set a variable for what is started inside: libraries read it when they are loaded, ahead of any task."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _serve(pipe: Connection) -> None:
    """Carry out tasks, one after another, until there are no more; runs in the worker."""
    end_with_parent()
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        pipe.send(_answer(task))


def _answer(task: Task) -> tuple[Any, str | None]:
    try:
        return task(), None
    except BenchError as error:
        return None, str(error)
    except Exception as error:  # noqa: BLE001 - a bug in one task is no reason to lose the others
        place = traceback.extract_tb(error.__traceback__)[-1]
        return None, f"it crashed: {type(error).__name__}: {error} ({place.filename}:{place.lineno})"

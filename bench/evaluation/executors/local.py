"""Tasks carried out by worker processes of this machine."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from bench.evaluation.executors.executor import Ended, Files, Hear, Placed, Task, carried_out
from bench.lifeline import end_with_parent

_THREADS, _SEEN = "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"
_PATIENCE = 5.0
"""Seconds that a worker has to end when it is asked to."""


@dataclass(slots=True)
class _Worker:
    """A process and the pipe to it.

    Attributes:
        accelerator: number of the only one that it sees; None where it sees what there is.
        task: name of what it is at; None while it is idle.
    """

    process: SpawnProcess
    pipe: Connection
    accelerator: int | None = None
    task: str | None = None


class Local:
    """Worker processes that live from task to task; one that dies fails its own task alone and is replaced.

    A pool of ``concurrent.futures`` is no use here: it breaks as a whole when the system kills one of its processes.
    """

    def __init__(self, workers: int, threads: int, *, accelerators: int = 0, away: bool = False) -> None:
        """Start no process yet.

        Args:
            workers: how many processes there are at most.
            threads: how many each computes with, so that all together do not crowd the processor.
            accelerators: of this machine; each worker sees one of them alone. With 0 all see what there is.
            away: let tasks be sent all that they need, as if they ran on another machine.
        """
        self.away = away
        self._most = workers
        self._threads = threads
        self._accelerators = accelerators
        self._workers: list[_Worker] = []
        self._waiting: deque[tuple[str, Task]] = deque()

    @staticmethod
    def place(files: Files) -> Placed:
        """Send the files along with every task that asks for them."""
        return partial(dict, files)

    def submit(self, name: str, task: Task) -> None:
        """Take a task; it waits until it is asked for its end, and then for a free worker."""
        self._waiting.append((name, task))

    def ended(self, hear: Hear = lambda *_: None) -> Iterator[Ended]:
        """Yield every task as it ends, until none is left."""
        while True:
            while self._waiting and (free := self._free()):
                self._hand_over(free, *self._waiting.popleft())
            busy = [worker for worker in self._workers if worker.task is not None]
            if not busy:
                return
            ready = wait([worker.pipe for worker in busy])
            for worker in busy:
                if worker.pipe in ready and (ended := self._collect(worker, hear)):
                    yield ended

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
        taken = [worker.accelerator for worker in self._workers]
        accelerator = min(range(self._accelerators), key=taken.count, default=None)
        with ExitStack() as around:
            around.enter_context(_environment(_THREADS, str(self._threads)))
            if accelerator is not None:
                around.enter_context(_environment(_SEEN, _visible(accelerator)))
            process.start()
        theirs.close()  # so that the pipe closes when the worker ends
        self._workers.append(worker := _Worker(process, ours, accelerator))
        return worker

    @staticmethod
    def _hand_over(worker: _Worker, name: str, task: Task) -> None:
        worker.task = name
        try:
            worker.pipe.send((name, task))
        except OSError:
            return  # it died just now, which is what its pipe says next

    def _collect(self, worker: _Worker, hear: Hear) -> Ended | None:
        """Take one message of a worker; return its task's end, if that is what it tells."""
        assert worker.task is not None
        name = worker.task
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            return _obituary(name, self._bury(worker))
        if isinstance(message, Ended):
            worker.task = None
            return message
        hear(name, message)
        return None

    def _bury(self, worker: _Worker) -> int:
        """Let go of a worker that ended, and return the code it ended with."""
        self._workers.remove(worker)
        worker.pipe.close()
        worker.process.join()
        code = worker.process.exitcode
        assert code is not None
        return code


def _obituary(name: str, code: int) -> Ended:
    if code >= 0:
        return Ended(name, None, f"its process ended by itself with code {code}", "process")
    how = signal.Signals(-code).name
    if how == "SIGKILL":
        return Ended(name, None, f"its process was ended by {how}, as a system does that runs out of memory", "memory")
    return Ended(name, None, f"its process was ended by {how}", "process")


def _visible(accelerator: int) -> str:
    """Return the name of one accelerator among those that this process sees."""
    seen = os.environ.get(_SEEN)
    return seen.split(",")[accelerator] if seen else str(accelerator)


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
        name, work = task
        # what was raised stays here, for not every error can be sent
        pipe.send(replace(carried_out(name, work, pipe.send), error=None))

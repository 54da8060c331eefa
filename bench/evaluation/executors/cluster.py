"""Tasks carried out by a cluster of Ray: other processes, graphics processors and machines, without shared files."""

import logging
import os
import socket
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from queue import Queue
from threading import Thread
from typing import Any

from bench.errors import BenchError, InputError
from bench.evaluation.executors.executor import Ended, Files, Hear, Loss, Placed, Task, carried_out

_AHEAD = 8
"""Messages of one task that may wait to be heard; then the task waits."""
_LOOK = 5.0
"""Seconds between two looks at whether the user wants to stop."""


@dataclass(frozen=True, slots=True)
class _OnNode:
    """Files in the cluster's own store, of which each node holds one copy."""

    reference: Any

    def __call__(self) -> Files:
        import ray

        found: Files = ray.get(self.reference)
        return found


class Cluster:
    """Sends tasks to nodes and takes their messages in turn; a task whose worker or node is gone is told as lost.

    Ray's own retries are off: they would begin from nothing, and whoever submits knows what came back already.
    """

    away = True

    def __init__(
        self, workers: int | None = None, *, address: str | None = None, cpus: float = 1.0, gpus: float | None = None
    ) -> None:
        """Join a cluster, or start one on this machine.

        Args:
            workers: how many tasks run at once at most; None takes as many as the cluster has room for now.
            address: of a cluster, ``auto`` for the one that runs on this machine; None starts one.
            cpus: cores that each task takes.
            gpus: of an accelerator that each task takes, such as 0.25; None takes one where there is any.

        Raises:
            InputError: if Ray is not installed.
            BenchError: if there is no cluster at the address, or no room in it for one task.
        """
        if find_spec("ray") is None:
            raise InputError("--executor ray needs Ray; install it in a checkout of the project: pip install '.[ray]'.")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # tells nobody outside
        import ray

        self._ray: Any = ray
        self._running: dict[Any, str] = {}
        self._waiting: deque[tuple[str, Task]] = deque()
        if address:
            _look_for(address)
        own = {} if address else {"num_cpus": max(1, round((workers or os.cpu_count() or 1) * cpus))}
        try:
            self._ray.init(address=address or "local", logging_level=logging.ERROR, log_to_driver=False, **own)
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise BenchError(f"cannot join a Ray cluster at {address or 'this machine'}: {reason}.") from None
        self._most = workers or self._room(cpus, gpus)
        self._gpus = gpus if gpus is not None else float(self._ray.cluster_resources().get("GPU", 0) > 0)
        self._serve = self._ray.remote(_serve).options(
            num_cpus=cpus,
            num_gpus=self._gpus,
            max_retries=0,
            num_returns="streaming",
            _generator_backpressure_num_objects=_AHEAD,
        )

    def place(self, files: Files) -> Placed:
        """Put the files into the cluster's store, from which each node fetches them once."""
        return _OnNode(self._ray.put(dict(files)))

    def submit(self, name: str, task: Task) -> None:
        """Take a task; it waits until it is asked for its end, and then for room."""
        self._waiting.append((name, task))

    def ended(self, hear: Hear = lambda *_: None) -> Iterator[Ended]:
        """Yield every task as it ends, until none is left."""
        while True:
            while self._waiting and len(self._running) < self._most:
                name, task = self._waiting.popleft()
                self._running[self._serve.remote(name, task)] = name
            if not self._running:
                return
            ready, _ = self._ray.wait(list(self._running), num_returns=1, timeout=_LOOK)
            for stream in ready:
                if ended := self._collect(stream, hear):
                    del self._running[stream]
                    yield ended

    def close(self) -> None:
        """Cancel what runs and leave the cluster; one that was started here ends."""
        self._waiting.clear()
        for stream in self._running:
            self._ray.cancel(stream, force=True)
        self._running.clear()
        self._ray.shutdown()

    def _collect(self, stream: Any, hear: Hear) -> Ended | None:
        """Take one message of a task; return its end, if that is what it tells."""
        name = self._running[stream]
        try:
            message = self._ray.get(next(stream))
        except StopIteration:
            return Ended(name, None, "its worker ended without a word", "process")
        except self._ray.exceptions.RayError as error:
            return Ended(name, None, *_obituary(error))
        if isinstance(message, Ended):
            return message
        hear(name, message)
        return None

    def _room(self, cpus: float, gpus: float | None) -> int:
        resources = self._ray.cluster_resources()
        shares = [resources.get("CPU", 0) / cpus] if cpus else []
        if resources.get("GPU", 0) and gpus != 0:
            shares.append(resources["GPU"] / (gpus or 1.0))
        most = int(min(shares, default=1.0))
        if most < 1:
            self._ray.shutdown()
            raise BenchError(
                f"the Ray cluster has no room for one task: it has {resources.get('CPU', 0):g} cores and "
                f"{resources.get('GPU', 0):g} accelerators, and each task takes {cpus:g} and {gpus or 0:g}."
            )
        return most


def _look_for(address: str) -> None:
    """Knock at an address of the form HOST:PORT, for Ray itself waits minutes for one where nobody is.

    Raises:
        BenchError: if nobody answers.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_LOOK).close()
    except (OSError, OverflowError) as error:
        raise BenchError(f"cannot join a Ray cluster at {address}: {error}.") from None


def _obituary(error: Exception) -> tuple[str, Loss]:
    """Say what became of a task that did not end itself: a worker that dies is what a full memory looks like."""
    kind = type(error).__name__
    if kind == "OutOfMemoryError":
        return "its worker was ended because the memory of its node ran out", "memory"
    if kind == "WorkerCrashedError":
        return "its worker died, as one does that the system ends when memory runs out", "memory"
    return f"its node or worker is gone ({kind})", "process"


def _serve(name: str, task: Task) -> Iterator[Any]:
    """Carry out one task and yield what it reports, then how it ended; runs in a worker of the cluster."""
    said: Queue[Any] = Queue(_AHEAD)

    def work() -> None:
        # what was raised stays here, for not every error can be sent
        said.put(replace(carried_out(name, task, said.put), error=None))

    Thread(target=work, daemon=True).start()
    while True:
        message = said.get()
        yield message
        if isinstance(message, Ended):
            return

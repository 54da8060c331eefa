"""Tasks carried out one after another in this very process."""

from collections import deque
from collections.abc import Iterator
from functools import partial

from bench.evaluation.executors.executor import Ended, Files, Hear, Placed, Task, carried_out


class Here:
    """Does each task when its end is asked for; an interruption stops it where it is."""

    away = False

    def __init__(self) -> None:
        """Begin with nothing to do."""
        self._waiting: deque[tuple[str, Task]] = deque()

    @staticmethod
    def place(files: Files) -> Placed:
        """Keep the files as they are."""
        return partial(dict, files)

    def submit(self, name: str, task: Task) -> None:
        """Take a task; it waits until its end is asked for."""
        self._waiting.append((name, task))

    def ended(self, hear: Hear = lambda *_: None) -> Iterator[Ended]:
        """Carry out what waits, in order, and yield each as it ends."""
        while self._waiting:
            name, task = self._waiting.popleft()
            yield carried_out(name, task, partial(hear, name))

    def close(self) -> None:
        """Forget what waits."""
        self._waiting.clear()

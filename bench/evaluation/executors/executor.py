"""What every executor can do: place files, take tasks, tell how each goes and ends, stop."""

import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from bench.errors import BenchError

Report: TypeAlias = Callable[[Any], None]
"""Sends a message from a task to whoever asked for it; ends the task where nobody hears any more."""

Task: TypeAlias = Callable[[Report], Any]
"""Work that another process can be sent, such as a ``functools.partial`` of a module's function."""

Hear: TypeAlias = Callable[[str, Any], None]
"""Hears what a task reports: the name of the task, and the message."""

Files: TypeAlias = Mapping[str, bytes]
"""Contents by the name of the file."""

Placed: TypeAlias = Callable[[], Files]
"""Files that lie where tasks run; a task gets them by a call."""

Loss: TypeAlias = Literal["memory", "process"]
"""Why a task did not come to an end of its own: memory ran out, or whatever carried it out is gone."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How one task ended.

    Attributes:
        name: of the task.
        value: what it returned; None if it failed.
        fault: one sentence on why it failed; None if it did not.
        lost: why it may succeed when it is tried again; None where it would fail again.
        error: what was raised, where the task ran in this process.
    """

    name: str
    value: Any
    fault: str | None
    lost: Loss | None = None
    error: Exception | None = None


@runtime_checkable
class Executor(Protocol):
    """Carries out tasks that do not depend on each other; one that fails takes none of the others along.

    Attributes:
        away: tasks see other files than whoever submits them, so what they need is sent and what they make comes back.
    """

    away: bool

    def place(self, files: Files) -> Placed:
        """Bring files to where tasks run, once for all tasks that ask for them."""

    def submit(self, name: str, task: Task) -> None:
        """Take a task; it may start at once, and waits if all hands are busy."""

    def ended(self, hear: Hear = lambda *_: None) -> Iterator[Ended]:
        """Yield every task as it ends, in any order, until none is left; more may be submitted meanwhile."""

    def close(self) -> None:
        """Stop what still runs; nothing of it is left behind."""


def carried_out(name: str, task: Task, report: Report) -> Ended:
    """Carry out a task here and now."""
    try:
        return Ended(name, task(report), None)
    except BenchError as error:
        return Ended(name, None, str(error), error=error)
    except Exception as error:  # noqa: BLE001 - a bug in one task is no reason to lose the others
        place = traceback.extract_tb(error.__traceback__)[-1]
        fault = f"it crashed: {type(error).__name__}: {error} ({place.filename}:{place.lineno})"
        # torch's own error for accelerators has the name, and is no MemoryError
        memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
        return Ended(name, None, fault, "memory" if memory else None, error)

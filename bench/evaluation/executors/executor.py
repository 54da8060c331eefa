"""What every executor can do: take tasks, tell how each ended, stop."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

Task = Callable[[], Any]
"""Work that another process can be sent, such as a ``functools.partial`` of a module's function."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How one task ended.

    Attributes:
        name: of the task.
        value: what it returned; None if it failed.
        fault: one sentence on why it failed; None if it did not.
    """

    name: str
    value: Any
    fault: str | None


@runtime_checkable
class Executor(Protocol):
    """Carries out tasks that do not depend on each other; one that fails takes none of the others along."""

    def submit(self, name: str, task: Task) -> None:
        """Take a task; it may start at once, and waits if all hands are busy."""

    def ended(self) -> Iterator[Ended]:
        """Yield every task as it ends, in any order, until none is left; more may be submitted meanwhile."""

    def close(self) -> None:
        """Stop what still runs; nothing of it is left behind."""

"""When an attack lets go of the points it has already fooled."""

from typing import Any, TypeVar

from torch import Tensor

from bench.tensors import Flags

State = TypeVar("State", bound=tuple[Tensor, ...])

_SHARE = 16  # a smaller share of idle rows costs less than copying the state of the others
_LOOK = 8  # queueing this many steps hides the wait for an answer from the device


class Compaction:
    """Decides when to shrink a batch to the points that still stand.

    Looking at a flag makes the host wait for an accelerator, so there it happens every few steps only.
    """

    def __init__(self, flags: Flags) -> None:
        self._period = 1 if flags.device.type == "cpu" else _LOOK

    def due(self, fallen: Flags, step: int) -> bool:
        """Tell whether enough rows have fallen to make dropping them pay."""
        if (step + 1) % self._period:
            return False
        return int(fallen.sum()) * _SHARE >= len(fallen)


def select(state: State, rows: Flags) -> State:
    """Return the state of some rows: a named tuple whose every field holds one entry per row."""
    kind: Any = type(state)
    return kind(*(field[rows] for field in state))

"""A run as a task of an executor: what it reports, and whom that is told."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from bench.evaluation.conduct.parts import propose
from bench.evaluation.conduct.run import Announce, evaluate
from bench.evaluation.executors.executor import Report
from bench.evaluation.plan.plan import Plan
from bench.evaluation.search.cascade import Watch
from bench.evaluation.search.journal import Tell, Written


class Listener(NamedTuple):
    """Whom a run tells how it goes; what each hears is said at ``evaluate``."""

    watch: Watch | None = None
    announce: Announce = lambda _: None
    tell: Tell = lambda _: None
    stage: Tell = lambda _: None


SILENT = Listener()
"""Nobody."""


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that a run tells."""

    to: Literal["watch", "announce", "tell", "stage", "again"]
    words: tuple[Any, ...]

    def told(self, listener: Listener) -> None:
        """Tell it a listener; that a cell is tried again is told as words are."""
        hears: Callable[..., None] | None = getattr(listener, "tell" if self.to == "again" else self.to)
        if hears is not None:
            hears(*self.words)


def carry_out(
    plan: Plan, part: tuple[int, ...] | None, report: Report, written: Written = lambda *_: None
) -> Path | None:
    """Evaluate one cell into its folder, which is returned; of a part only propose, which makes no folder.

    Args:
        plan: of the cell.
        part: ids of the points of a part; None for the whole.
        report: hears all that there is to tell.
        written: hears of all work as it is kept.
    """

    def tell(to: Literal["watch", "announce", "tell", "stage"], *words: Any) -> None:
        report(Said(to, words))

    listener = Listener(*(partial(tell, to) for to in ("watch", "announce", "tell", "stage")))
    if part is None:
        return evaluate(plan, *listener, written=written)
    propose(plan, part, listener.watch, listener.tell, written)
    return None

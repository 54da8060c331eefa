"""Work on many files or figures by all processors."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

from bench.lifeline import end_with_parent

_MOST = 16
_Thing = TypeVar("_Thing")
_Made = TypeVar("_Made")


def spread(
    function: Callable[[_Thing], _Made], things: Iterable[_Thing], *, alone: int, together: int
) -> Iterator[_Made]:
    """Yield what a function makes of things, in their order, as soon as it is made.

    Args:
        function: one that a process of its own can import.
        things: what it takes.
        alone: as many as one process has done before others could start.
        together: how many go to a process at a time.
    """
    several = list(things)
    workers = min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, _MOST)
    if workers == 1 or len(several) <= alone:
        yield from map(function, several)
        return
    # Spawned, since a process that has drawn already cannot be forked.
    with ProcessPoolExecutor(workers, get_context("spawn"), end_with_parent) as pool:
        yield from pool.map(function, several, chunksize=together)

"""Parts of a batch, worked on side by side by the cores of a processor."""

import copy
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from queue import SimpleQueue
from threading import Barrier
from typing import TypeVar

import torch
from torch import nn

_Found = TypeVar("_Found")


def parts_of(images: int, size: int) -> list[slice]:
    """Return the rows of each part, ``size`` images each but the last."""
    return [slice(first, first + size) for first in range(0, images, size)]


class Crew:
    """Threads that each work on a part of their own, with a replica of a network.

    A core that works on a part of its own waits for no other, as the threads inside of every convolution do. A replica
    has the same tensors in modules of its own, for modules may keep notes of a pass.

    Args:
        network: on a processor, in evaluation mode.
        workers: how many.
    """

    def __init__(self, network: nn.Module, workers: int) -> None:
        self.workers = workers
        threads = torch.get_num_threads()
        tensors = {id(tensor): tensor for tensor in [*network.parameters(), *network.buffers()]}
        self._replicas: SimpleQueue[nn.Module] = SimpleQueue()
        for _ in range(workers):
            self._replicas.put(copy.deepcopy(network, dict(tensors)))
        self._pool = ThreadPoolExecutor(workers)
        ready = Barrier(workers)

        def start(_: int) -> None:
            torch.set_num_threads(threads // workers)
            torch.get_num_threads()  # holds it: a thread that never asked takes the newest number of any thread
            ready.wait()

        list(self._pool.map(start, range(workers)))
        torch.set_num_threads(threads)

    def run(self, work: Callable[[nn.Module, slice], _Found], parts: Sequence[slice]) -> Iterator[_Found]:
        """Yield ``work(network, part)`` for each part, in their order."""

        def one(part: slice) -> _Found:
            replica = self._replicas.get()
            try:
                return work(replica, part)
            finally:
                self._replicas.put(replica)

        yield from self._pool.map(one, parts)

    def close(self) -> None:
        """Wait for the threads to end."""
        self._pool.shutdown()


def side_by_side(
    network: nn.Module, work: Callable[[nn.Module, slice], _Found], parts: Sequence[slice]
) -> Iterator[_Found]:
    """Yield ``work(network, part)`` for each part, in their order, one part per core.

    One after another where there is nothing to gain or the network learns from what it sees: on an accelerator, with
    one thread, in training mode.
    """
    tensors = [*network.parameters(), *network.buffers()]
    workers = min(torch.get_num_threads(), len(parts))
    alone = any(tensor.device.type != "cpu" for tensor in tensors) or any(part.training for part in network.modules())
    if workers < 2 or alone:
        yield from (work(network, part) for part in parts)
        return
    with closing(Crew(network, workers)) as crew:
        yield from crew.run(work, parts)

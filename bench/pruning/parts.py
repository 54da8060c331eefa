"""Parts of a batch, worked on side by side by the cores of a processor."""

import copy
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

import torch
from torch import nn

_Found = TypeVar("_Found")


def parts_of(images: int, size: int) -> list[slice]:
    """Return the rows of each part, ``size`` images each but the last."""
    return [slice(first, first + size) for first in range(0, images, size)]


def side_by_side(
    network: nn.Module, work: Callable[[nn.Module, slice], _Found], parts: Sequence[slice]
) -> Iterator[_Found]:
    """Yield ``work(network, part)`` for each part, in their order.

    A core that works on a part of its own waits for no other, as the threads inside of every convolution do. Each
    worker sees a replica of the network: the same tensors in modules of its own, for modules may keep notes of a pass.
    One after another where there is nothing to gain or the network learns from what it sees: on an accelerator, with
    one thread, in training mode.
    """
    tensors = [*network.parameters(), *network.buffers()]
    threads = torch.get_num_threads()
    workers = min(threads, len(parts))
    alone = any(tensor.device.type != "cpu" for tensor in tensors) or any(part.training for part in network.modules())
    if workers < 2 or alone:
        yield from (work(network, part) for part in parts)
        return
    replicas: SimpleQueue[nn.Module] = SimpleQueue()
    for _ in range(workers):
        replicas.put(copy.deepcopy(network, {id(tensor): tensor for tensor in tensors}))

    def one(part: slice) -> _Found:
        replica = replicas.get()
        try:
            return work(replica, part)
        finally:
            replicas.put(replica)

    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads // workers,)) as pool:
            yield from pool.map(one, parts)
    finally:
        torch.set_num_threads(threads)  # a worker's number becomes that of every thread that starts later

"""How long a network takes, a smaller one beside its parent: the unit of an attack's work, on one machine, in turns."""

import copy
import time
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from torch import nn

from bench.submission.schema import LatencyRecord, PassTimes, Quartiles
from bench.tensors import Images

WARM_UP, REPEATS = 2, 7
LARGEST, ALONE = 64, 16
"""Images in a batch at most, with the parent and without: larger ones change the ratio no more, and take longer."""


def latency(parent: nn.Module | None, network: nn.Module, images: Images, batch: int) -> LatencyRecord:
    """Time a network, and its parent in alternating turns where one is given, on the device of ``images``.

    On a processor one thread works and its own seconds count, so that other work on the machine hardly matters; on an
    accelerator the seconds of the clock.
    """
    part = images[: min(batch, ALONE if parent is None else LARGEST)]
    timed = [network] if parent is None else [network, copy.deepcopy(parent).to(part.device)]
    on_processor = part.device.type == "cpu"
    threads = torch.get_num_threads()
    if on_processor:
        torch.set_num_threads(1)
    try:
        turns = [
            [[_timed(run, net, part) for run in (_forward, _backward)] for net in timed]
            for _ in range(WARM_UP + REPEATS)
        ][WARM_UP:]
    finally:
        torch.set_num_threads(threads)
    forward, both = ([_quartiles([turn[net][run] for turn in turns]) for net in range(len(timed))] for run in range(2))
    times = [PassTimes(forward=forward[net], both=both[net]) for net in range(len(timed))]
    return LatencyRecord(
        clock="processor" if on_processor else "wall",
        batch=len(part),
        repeats=REPEATS,
        parent=None if parent is None else times[1],
        network=times[0],
    )


def _forward(network: nn.Module, images: Images) -> None:
    with torch.no_grad():
        network(images)


def _backward(network: nn.Module, images: Images) -> None:
    point = images.detach().requires_grad_()
    with torch.enable_grad():
        torch.autograd.grad(network(point).logsumexp(dim=1).sum(), point)


def _timed(run: Callable[[nn.Module, Images], None], network: nn.Module, images: Images) -> float:
    """Return the seconds that one pass takes, per image; no fewer than the clock can tell apart from none."""
    name: Literal["thread_time", "perf_counter"] = "thread_time" if images.device.type == "cpu" else "perf_counter"
    clock: Callable[[], float] = getattr(time, name)
    _wait(images.device)
    start = clock()
    run(network, images)
    _wait(images.device)
    return max(clock() - start, time.get_clock_info(name).resolution) / len(images)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _quartiles(seconds: Sequence[float]) -> Quartiles:
    first, median, third = (float(f"{value:.4g}") for value in np.quantile(seconds, [0.25, 0.5, 0.75]))
    return first, median, third

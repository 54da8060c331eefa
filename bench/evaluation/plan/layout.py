"""How a network lies in memory while it is attacked."""

import torch
from torch import nn

from bench.pruning.measure import Measured

_LARGE = 64
"""Pixels of the shorter side from which on a processor moves channels about for longer than the products gain."""


def lay_out(network: nn.Module, measured: Measured, shape: tuple[int, int, int], device: torch.device) -> nn.Module:
    """Let the channels of a network come last in memory where a processor is faster for it; return the network.

    It is where channels are gone, for then convolutions are thin and the library behind them spends a seventh of a step
    on moving channels (tests/benchmarks/PRUNING.md), and where images are large (tests/benchmarks/photographs.py). On
    small images whole networks gain little and stay as they are; so does what an accelerator runs.

    Args:
        network: changed in place.
        measured: of the network and its parent.
        shape: of an image.
        device: where it will run.
    """
    if device.type == "cpu" and (measured.macs < measured.parent_macs or min(shape[1:]) >= _LARGE):
        return network.to(memory_format=torch.channels_last)
    return network

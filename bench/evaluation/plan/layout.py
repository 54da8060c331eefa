"""How a network lies in memory while it is attacked."""

import torch
from torch import nn

from bench.pruning.measure import Measured


def lay_out(network: nn.Module, measured: Measured, device: torch.device) -> nn.Module:
    """Let the channels of a network that lost some come last in memory where a processor works; return the network.

    Its convolutions are thin, and the library behind them spends a seventh of a step on moving channels otherwise
    (tests/benchmarks/PRUNING.md). Whole networks gain little and stay as they are; so does what an accelerator runs.
    """
    if device.type == "cpu" and measured.macs < measured.parent_macs:
        return network.to(memory_format=torch.channels_last)
    return network

"""Real networks made hard for gradients, on which attacks by queries must still find what there is."""

import torch
from torch import nn


class _Steps(nn.Module):
    """A rectifier whose output moves in steps: its gradient is zero wherever there is one."""

    def __init__(self, height: float) -> None:
        super().__init__()
        self._height = height

    def forward(self, x):
        return torch.floor(torch.relu(x) / self._height) * self._height


def quantised(network, height=0.25):
    """Replace every rectifier by steps, in place."""
    for name, part in network.named_children():
        if isinstance(part, nn.ReLU):
            setattr(network, name, _Steps(height))
        else:
            quantised(part, height)
    return network


class Shattered(nn.Module):
    """Ripples on the image, too small to matter and steep enough to turn the gradient at random."""

    def __init__(self, network, height=0.02, turns=2000.0) -> None:
        super().__init__()
        self._network, self._height, self._turns = network, height, turns

    def forward(self, x):
        return self._network(x + self._height * torch.sin(self._turns * x))

"""The contract of an architecture: how to build a network that weights are loaded into."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from bench.registry import Registry


@dataclass(frozen=True, slots=True)
class Architecture:
    """A registered architecture.

    Attributes:
        make: build the dense network, without input normalisation.
        shape: channels, height, width of the images it takes.
        classes: number of logits.
        says: one line for lists.
    """

    name: str
    make: Callable[[], nn.Module]
    shape: tuple[int, int, int]
    classes: int
    says: str

    def build(self) -> nn.Module:
        """Return a fresh network and leave the global random numbers as they were."""
        with torch.random.fork_rng(devices=[]):
            return self.make()


ARCHITECTURES: Registry[Architecture] = Registry("architecture", "bench.models.architectures")


def register(
    name: str, make: Callable[[], nn.Module], *, shape: tuple[int, int, int], says: str, classes: int = 10
) -> None:
    """File an architecture under its name."""
    ARCHITECTURES.register(name)(Architecture(name, make, shape, classes, says))

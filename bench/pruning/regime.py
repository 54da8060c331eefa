"""The contract of a regime: what follows pruning."""

from dataclasses import dataclass
from typing import Protocol

from torch import nn

from bench.pruning.recipe import Context, Masks, Needs
from bench.registry import Registry


class Follow(Protocol):
    """The function behind a regime."""

    def __call__(self, network: nn.Module, masks: Masks, context: Context) -> None:
        """Change the pruned network in place; where a mask says drop, its weights stay exactly zero."""
        ...


@dataclass(frozen=True, slots=True)
class Regime:
    """A registered regime.

    Attributes:
        version: raised whenever its results change.
        source: the paper, with its arXiv id.
    """

    name: str
    follow: Follow
    needs: Needs
    version: int
    source: str


REGIMES: Registry[Regime] = Registry("regime", "bench.pruning.regimes")

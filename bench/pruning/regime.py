"""The contract of a regime: what follows pruning."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, runtime_checkable

from torch import nn

from bench.pruning.recipe import Context, Masks, Needs
from bench.registry import Registry


@runtime_checkable
class Follow(Protocol):
    """The function behind a regime."""

    def __call__(self, network: nn.Module, masks: Masks, context: Context) -> None:
        """Change the pruned network in place; where a mask says drop, its weights stay exactly zero."""
        ...


def at_once(target: Fraction) -> tuple[Fraction, ...]:
    """Prune in one step."""
    return (target,)


def doubling(target: Fraction) -> tuple[Fraction, ...]:
    """Prune to 1/2, 3/4, 7/8 and so on: every stage doubles the compression until the target is met."""
    stages: list[Fraction] = []
    density = Fraction(1, 2)
    while 1 - density < target:
        stages.append(1 - density)
        density /= 2
    return (*stages, target)


@dataclass(frozen=True, slots=True)
class Regime:
    """A registered regime.

    Attributes:
        stages: the sparsities on the way to a target; the regime follows each.
        version: raised whenever its results change.
        source: the paper, with its arXiv id.
    """

    name: str
    follow: Follow
    needs: Needs
    version: int
    source: str
    stages: Callable[[Fraction], tuple[Fraction, ...]] = at_once


REGIMES: Registry[Regime] = Registry("regime", "bench.pruning.regimes")

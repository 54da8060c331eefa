"""Prunes a network by a recipe, and measures what anybody's pruning did."""

from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import ContractError, UsageError
from bench.evaluation.environment import exact_arithmetic
from bench.evaluation.plan.prepare import EXAMPLES
from bench.interface.network import frozen
from bench.models.probe import classes_of
from bench.pruning.measure import Measured
from bench.pruning.measure import measure as measured
from bench.pruning.prune import Pruned
from bench.pruning.prune import prune as pruned
from bench.pruning.recipe import Calibration, Context
from bench.threats import ThreatModel

USUAL = ((3, 32, 32), (1, 28, 28), (1, 8, 8), (3, 224, 224))
"""Sizes of images of the data sets that networks are mostly made for."""


@exact_arithmetic()
def prune(
    network: nn.Module,
    recipe: str,
    sparsity: Any = None,
    *,
    calibration: Calibration | None = None,
    example: Tensor | None = None,
    threat: ThreatModel | None = None,
    regime: str = "one-shot",
    keep: str | Sequence[str] = (),
    seed: int = 0,
) -> Pruned:
    """Prune a copy of a network by one of the benchmark's recipes; the network itself stays as it is.

    Args:
        network: maps images in [0, 1] to logits.
        recipe: see ``bench list recipes``.
        sparsity: share of prunable weights to remove (of parameters, for recipes that remove channels): ``0.9``,
            ``"9/10"``; None for recipes that have none.
        calibration: training images (N, C, H, W) in [0, 1] and labels (N,), for recipes and regimes that look at some.
        example: images (N, C, H, W) where there is no calibration: shown to the network to see which weights work.
        threat: for recipes and regimes that follow adversarial gradients.
        regime: what follows pruning.
        keep: layers that stay whole while the others make up for them, by name: ``["conv1", "fc"]``.
        seed: of the recipe's random numbers.

    Returns:
        The pruned network with its masks and what was measured: sparsity, multiply-accumulates, bytes, layer by layer.

    Raises:
        UsageError: for an unknown name, or arguments that do not go together.
        InfeasibleError: if this network cannot reach the sparsity by this recipe.
        ContractError: if the network gives anything but finite logits.
    """
    shown = calibration[0] if example is None and calibration is not None else example
    if shown is None:
        raise UsageError("pruning shows the network some images; give calibration=(images, labels) or example=images.")
    share = share_of(sparsity)
    parent = frozen(network)
    classes_of(parent, shown)
    context = Context(
        example=shown[:EXAMPLES], seed=seed, calibration=calibration, threat=threat, keep=frozenset(layers_of(keep))
    )
    return pruned(parent, recipe, share, context, regime)


@exact_arithmetic()
def measure(parent: nn.Module, network: nn.Module | Pruned, example: Tensor | None = None) -> Measured:
    """Measure a pruned network against its dense parent, tensor by tensor.

    Args:
        parent: the dense network.
        network: the same with zeros, or with channels gone.
        example: images (N, C, H, W) in [0, 1], to see which weights a forward pass reaches; work hangs on their size.
            Where left out, the first size of USUAL that both networks take.

    Raises:
        ContractError: if a network does not take the images.
        UsageError: if the networks do not belong together, or take none of the usual sizes.
    """
    dense, child = frozen(parent), frozen(network)
    if example is None:
        example = _usual(dense, child)
    for one in (dense, child):
        classes_of(one, example)
    return measured(dense, child, example[:EXAMPLES])


def _usual(*networks: nn.Module) -> Tensor:
    for shape in USUAL:
        grey = torch.full((2, *shape), 0.5)
        with suppress(ContractError):
            for one in networks:
                classes_of(one, grey)
            return grey
    raise UsageError("the networks take none of the usual sizes of images; give some of theirs as example.")


def share_of(sparsity: Any) -> Fraction | None:
    """Read a sparsity written as a number, a text or a fraction; None stays None."""
    try:
        return None if sparsity is None else Fraction(str(sparsity))
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"a sparsity is a share such as 0.9 or '9/10', got {sparsity!r}.") from None


def layers_of(keep: str | Sequence[str]) -> tuple[str, ...]:
    """Read names of layers; a text alone is one name."""
    return (keep,) if isinstance(keep, str) else tuple(keep)

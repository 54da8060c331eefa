"""Applies a recipe and a regime to a network, then holds both to their contracts and measures what came out."""

import copy
from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor, nn

from bench.errors import ContractError, InfeasibleError, UsageError
from bench.pruning.blocks import eligible, violations
from bench.pruning.masks import apply, prunable, refuse_reparametrised, zeros_wanted
from bench.pruning.measure import Measured, measure
from bench.pruning.recipe import RECIPES, Channels, Context, Masks, Needs, Recipe, Structure
from bench.pruning.regime import REGIMES

HALF = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class Pruned:
    """A pruned network with the proof of what was done.

    Attributes:
        network: in evaluation mode, parameters frozen, without hooks.
        masks: keep or drop per weight; empty where nothing is masked.
        target: share of prunable weights asked to be zero; None for ``dense``.
    """

    network: nn.Module
    measured: Measured
    masks: Masks
    target: Fraction | None


def needs_images(recipe: str, regime: str = "one-shot") -> bool:
    """Tell whether a recipe or a regime looks at training images."""
    return RECIPES[recipe].needs is not Needs.NOTHING or REGIMES[regime].needs is not Needs.NOTHING


def prune(
    parent: nn.Module, recipe: str, sparsity: Fraction | None, context: Context, regime: str = "one-shot"
) -> Pruned:
    """Prune a copy of a network; the parent stays as it is.

    Raises:
        UsageError: for an unknown recipe or regime, or a sparsity that does not go with the recipe.
        InfeasibleError: if this network cannot reach the sparsity by this recipe.
        ContractError: if the recipe or the regime broke its contract.
    """
    chosen, follow = RECIPES[recipe], REGIMES[regime]
    target = checked_target(chosen, sparsity)
    if needs_images(recipe, regime) and context.calibration is None:
        raise UsageError(f"{recipe} with regime {regime} looks at training images, and none were given.")
    refuse_reparametrised(parent)
    network = copy.deepcopy(parent).eval()
    masks: Masks = {}
    for stage in follow.stages(target) if target else (Fraction(0),):
        masks = _masks(chosen, network, stage, context)
        apply(network, masks)
        _hold_target(chosen, stage, network, parent, context)
        follow.follow(network, masks, context)
        _hold_masks(regime, network, masks)
    network.eval().requires_grad_(requires_grad=False)
    return Pruned(network, measure(parent, network, context.example), masks, target)


def checked_target(recipe: Recipe, sparsity: Fraction | None) -> Fraction | None:
    """Return the sparsity that a recipe works towards.

    Raises:
        UsageError: if the sparsity does not go with the recipe.
    """
    if recipe.structure is Structure.DENSE:
        if sparsity is not None:
            raise UsageError(f"{recipe.name} removes nothing, so it takes no sparsity, got {sparsity}.")
        return None
    if recipe.structure is Structure.TWO_OF_FOUR:
        if sparsity not in {None, HALF}:
            raise UsageError(
                f"{recipe.name} removes one half of the eligible weights, always; got sparsity {sparsity}."
            )
        return HALF
    if sparsity is None:
        raise UsageError(f"{recipe.name} needs a sparsity: a share such as 9/10.")
    if not 0 < sparsity < 1:
        raise UsageError(f"a sparsity lies strictly between 0 and 1, got {sparsity} ({float(sparsity):g}).")
    return sparsity


def _masks(recipe: Recipe, network: nn.Module, sparsity: Fraction, context: Context) -> Masks:
    """Ask the recipe, on a copy: what it does to its network never reaches the one that is attacked."""
    decision = recipe.decide(copy.deepcopy(network).eval(), sparsity, context)
    if isinstance(decision, Channels):
        raise ContractError(f"{recipe.name} returned channels to keep, and only masks can be applied.")
    return decision


def _hold_target(recipe: Recipe, target: Fraction, network: nn.Module, parent: nn.Module, context: Context) -> None:
    weights = prunable(parent, context.example)
    after = dict(network.named_parameters())
    if recipe.structure is Structure.TWO_OF_FOUR:
        for name, weight in weights.items():
            if eligible(weight) and (found := violations(after[name])):
                raise ContractError(
                    f"{recipe.name} left {found} blocks of {name!r} with more than two weights of four."
                )
    if recipe.structure is not Structure.UNSTRUCTURED:
        return
    wanted = zeros_wanted(weights, target)
    got = sum(_zeros(after[name]) for name in weights)
    if got == wanted:
        return
    before = sum(_zeros(weight) for weight in weights.values())
    if before > wanted:
        raise InfeasibleError(
            f"{before} of the parent's prunable weights are zero already, more than the {wanted} asked for; "
            "ask for a higher sparsity."
        )
    raise ContractError(f"{recipe.name} made {got} zeros where {wanted} were asked for.")


def _hold_masks(regime: str, network: nn.Module, masks: Masks) -> None:
    parameters = dict(network.named_parameters())
    for name, mask in masks.items():
        revived = int((parameters[name].detach()[~mask.to(parameters[name].device)] != 0).sum())
        if revived:
            raise ContractError(f"{regime} revived {revived} pruned weights of {name!r}.")
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ContractError(f"{regime} left NaN or infinity in {name!r}; such a network gives no number.")


def _zeros(tensor: Tensor) -> int:
    return int((tensor.detach() == 0).sum())

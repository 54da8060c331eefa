"""Applies a recipe and a regime to a network, then holds both to their contracts and measures what came out."""

import copy
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bench.errors import ContractError, InfeasibleError, UsageError
from bench.pruning.blocks import eligible, violations
from bench.pruning.masks import apply, named_weights, prunable, refuse_reparametrised, zeros_wanted
from bench.pruning.measure import Measured, measure
from bench.pruning.recipe import RECIPES, Channels, Context, Masks, Needs, Recipe, Reconstructed, Structure
from bench.pruning.regime import REGIMES
from bench.pruning.slices import SlicePlan, compose, materialise, prove, same_function, slice_plan
from bench.pruning.structure import inner_groups, parameters, widest_channel

HALF = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class Pruned:
    """A pruned network with the proof of what was done.

    Attributes:
        network: in evaluation mode, parameters frozen, without hooks.
        masks: keep or drop per weight; empty where nothing is masked.
        plan: kept indices per tensor and dimension; empty where nothing is removed.
        target: share of prunable weights asked to be zero, of parameters for structured recipes; None for ``dense``.
    """

    network: nn.Module = field(repr=False)
    measured: Measured
    masks: Masks = field(repr=False)
    plan: SlicePlan = field(repr=False)
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
    context = replace(context, keep=named_weights(parent, context.keep, context.example))
    network = copy.deepcopy(parent).eval()
    masks: Masks = {}
    plan: SlicePlan = {}
    step = 0
    for stage in follow.stages(target) if target else (Fraction(0),):
        share = _share(chosen, stage, network, parent, context)
        decision = chosen.decide(copy.deepcopy(network).eval(), share, context)
        if isinstance(decision, Channels):
            network, cut, step = _cut(network, decision, context)
            plan = compose(plan, cut)
            _hold_share(chosen, stage, network, parent, context, step)
        else:
            masks = _rewritten(chosen, network, decision) if isinstance(decision, Reconstructed) else decision
            apply(network, masks)
        _hold_target(chosen, stage, network, parent, context)
        if touched := context.keep & (masks.keys() | plan.keys()):
            raise ContractError(f"{recipe} pruned {min(touched)!r}, which was to stay whole.")
        follow.follow(network, masks, context)
        _hold_masks(regime, network, masks)
    network.eval().requires_grad_(requires_grad=False)
    return Pruned(network, measure(parent, network, context.example), masks, plan, target)


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


def _rewritten(recipe: Recipe, network: nn.Module, made: Reconstructed) -> Masks:
    """Write the weights of a recipe that moves them into the network and return its masks."""
    if not recipe.rewrites:
        raise ContractError(f"{recipe.name} changed the weights that stay, and its entry does not say so.")
    parameters = dict(network.named_parameters())
    for name, weight in made.weights.items():
        if name not in made.masks:
            raise ContractError(f"{recipe.name} changed {name!r}, for which it returned no mask.")
        if name not in parameters or weight.shape != parameters[name].shape or not weight.isfinite().all():
            raise ContractError(f"{recipe.name} returned weights for {name!r} that are not finite or do not fit.")
        with torch.no_grad():
            parameters[name].copy_(weight)
    return made.masks


def _share(recipe: Recipe, stage: Fraction, network: nn.Module, parent: nn.Module, context: Context) -> Fraction:
    """Return what a recipe has to remove of what it may, to reach a share of the whole parent.

    Raises:
        InfeasibleError: if the layers that stay whole leave too little.
    """
    if recipe.structure is Structure.CHANNEL:
        return 1 - (1 - stage) * parameters(parent, context.example) / parameters(network, context.example)
    if recipe.structure is not Structure.UNSTRUCTURED or not context.keep:
        return stage
    weights = prunable(network, context.example)
    whole = {name: weights.pop(name) for name in context.keep}
    wanted = zeros_wanted(weights | whole, stage) - sum(_zeros(weight) for weight in whole.values())
    able = sum(weight.numel() for weight in weights.values())
    if wanted >= able:
        raise InfeasibleError(
            f"{float(stage):.1%} of all prunable weights are asked to be zero, and outside of the layers that are kept "
            f"whole there are {able}, {wanted} of which would have to go; keep fewer layers or ask for less."
        )
    return Fraction(max(wanted, 0), able)


class _Cut(NamedTuple):
    network: nn.Module
    plan: SlicePlan
    step: int
    """The most parameters that one channel carries."""


def _cut(network: nn.Module, kept: Channels, context: Context) -> _Cut:
    """Build the smaller network and prove that it is a part of the whole one and computes as that part should."""
    groups = inner_groups(network, context)
    if odd := kept.keys() - {group.producer for group in groups}:
        raise ContractError(f"the recipe cuts {min(odd)!r}, which is no producer of an inner group.")
    plan = slice_plan(groups, kept)
    child = materialise(network, plan)
    prove(network, child, plan)
    if not same_function(network, groups, kept, context.example):
        raise ContractError("the network without its channels computes something else than with the channels unread.")
    return _Cut(child, plan, widest_channel(network, groups))


def _hold_share(
    recipe: Recipe, target: Fraction, network: nn.Module, parent: nn.Module, context: Context, step: int
) -> None:
    total, left = parameters(parent, context.example), parameters(network, context.example)
    if abs(total - left - target * total) > step:
        raise ContractError(
            f"{recipe.name} removed {total - left} of {total} parameters, asked for {float(target):.1%}."
        )


def _hold_target(recipe: Recipe, target: Fraction, network: nn.Module, parent: nn.Module, context: Context) -> None:
    weights = prunable(parent, context.example)
    after = dict(network.named_parameters())
    if recipe.structure is Structure.TWO_OF_FOUR:
        for name, weight in weights.items():
            if eligible(weight) and name not in context.keep and (found := violations(after[name])):
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

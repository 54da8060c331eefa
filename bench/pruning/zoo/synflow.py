"""Synaptic flow: drop the weights that carry least of what flows from input to output, round by round, without data."""

import copy
from collections.abc import Mapping
from fractions import Fraction

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bench.errors import ContractError
from bench.pruning.masks import apply, keep_largest, kept_wanted, prunable
from bench.pruning.recipe import RECIPES, Context, Masks, Needs, Recipe, Scope, Structure

ROUNDS = 100


def synflow(network: nn.Module, sparsity: Fraction, context: Context) -> Masks:
    """Keep the largest |w · ∂R/∂w|, R the output of the network with absolute weights for an image of ones.

    A hundred rounds on an exponential schedule, in double precision; biases and the means of batch norm are zero.

    Source: Tanaka et al. 2020, arXiv:2006.05467.
    """
    weights = prunable(network, context.example)
    total, final = sum(weight.numel() for weight in weights.values()), kept_wanted(weights, sparsity)
    twin = _positive(network)
    image = torch.ones_like(context.example[:1], dtype=torch.float64)
    masks: Masks = {}
    for step in range(1, ROUNDS + 1):
        keep = round(total * (final / total) ** (step / ROUNDS)) if step < ROUNDS else final
        now = {name: twin.get_parameter(name) for name in weights}
        masks = keep_largest({name: weight.detach() for name, weight in now.items()}, _flow(twin, now, image), keep)
        apply(twin, masks)
    return masks


def _positive(network: nn.Module) -> nn.Module:
    twin = copy.deepcopy(network).double().eval().requires_grad_(requires_grad=True)
    with torch.no_grad():
        for name, parameter in twin.named_parameters():
            parameter.copy_(torch.zeros_like(parameter) if name.endswith("bias") else parameter.abs())
        for module in twin.modules():
            if isinstance(module, _BatchNorm) and module.running_mean is not None:
                module.running_mean.zero_()
    return twin


def _flow(network: nn.Module, weights: Mapping[str, Tensor], image: Tensor) -> dict[str, Tensor]:
    flow = network(image).sum()
    if not flow.isfinite():
        raise ContractError("synaptic flow overflows in this network even in double precision; choose another recipe.")
    gradients = torch.autograd.grad(flow, list(weights.values()))
    return {
        name: (weight * gradient).abs().detach()
        for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
    }


RECIPES.register("synflow")(
    Recipe(
        name="synflow",
        decide=synflow,
        structure=Structure.UNSTRUCTURED,
        scope=Scope.GLOBAL,
        needs=Needs.NOTHING,
        version=1,
        source="Tanaka et al. 2020, arXiv:2006.05467",
        nested=False,
    )
)

"""Synaptic flow: drop the weights that carry least of what flows from input to output, round by round, without data."""

import copy
from collections.abc import Sequence
from fractions import Fraction

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bench.errors import ContractError, InfeasibleError
from bench.pruning.masks import chosen_weights, kept_wanted, smallest
from bench.pruning.recipe import RECIPES, Context, Masks, Needs, Recipe, Scope, Structure

ROUNDS = 100


def synflow(network: nn.Module, sparsity: Fraction, context: Context) -> Masks:
    """Keep the largest |w · ∂R/∂w|, R the output of the network with absolute weights for an image of ones.

    A hundred rounds on an exponential schedule, in double precision; biases and the means of batch norm are zero. Every
    round ranks the weights that are left.

    Source: Tanaka et al. 2020, arXiv:2006.05467.

    Raises:
        InfeasibleError: if fewer weights than should stay are non-zero, or nothing flows.
        ContractError: if the flow is not finite.
    """
    weights = chosen_weights(network, context)
    total, final = sum(weight.numel() for weight in weights.values()), kept_wanted(weights, sparsity)
    positive = _positive(network)
    layers = [positive.get_parameter(name).requires_grad_() for name in weights]
    image = torch.ones_like(context.example[:1], dtype=torch.float64)
    alive = [layer.detach().flatten().nonzero().flatten() for layer in layers]
    if final > (nonzero := sum(map(len, alive))):
        raise InfeasibleError(
            f"{final} weights should stay and only {nonzero} of {total} are non-zero in the parent; "
            "it is sparser than the target already, so ask for a higher sparsity."
        )
    for step in range(1, ROUNDS + 1):
        keep = round(total * (final / total) ** (step / ROUNDS)) if step < ROUNDS else final
        left = sum(map(len, alive))
        if keep < left:
            gone = smallest(_flow(positive, layers, alive, image), left - keep).split([len(part) for part in alive])
            _drop(layers, alive, gone)
            alive = [part[~lost] for part, lost in zip(alive, gone, strict=True)]
    return {name: layer.detach().cpu() != 0 for name, layer in zip(weights, layers, strict=True)}


def _positive(network: nn.Module) -> nn.Module:
    positive = copy.deepcopy(network).double().to(memory_format=torch.contiguous_format).eval()
    positive.requires_grad_(requires_grad=False)
    for name, parameter in positive.named_parameters():
        parameter.copy_(torch.zeros_like(parameter) if name.endswith("bias") else parameter.abs())
    for module in positive.modules():
        if isinstance(module, _BatchNorm) and module.running_mean is not None:
            module.running_mean.zero_()
    return positive


def _flow(network: nn.Module, layers: Sequence[Tensor], alive: Sequence[Tensor], image: Tensor) -> Tensor:
    """Return |w · ∂R/∂w| of the weights that are left, all layers in one line."""
    with torch.enable_grad():
        gradients = torch.autograd.grad(network(image).sum(), layers)
    scores = [
        _line(layer.detach()).index_select(0, part) * _line(gradient).index_select(0, part)
        for layer, gradient, part in zip(layers, gradients, alive, strict=True)
    ]
    flow = torch.cat(scores).abs_()
    if not (strongest := flow.max()).isfinite():
        raise ContractError("synaptic flow overflows in this network even in double precision; choose another recipe.")
    if strongest == 0:
        raise InfeasibleError(
            "nothing flows through this network from an image of ones, as where every image is standardised by itself "
            "or a layer is empty; synflow ranks no weight of it, so choose another recipe."
        )
    return flow


def _drop(layers: Sequence[Tensor], alive: Sequence[Tensor], gone: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for layer, part, lost in zip(layers, alive, gone, strict=True):
            layer.view(-1)[part[lost]] = 0.0


def _line(tensor: Tensor) -> Tensor:
    return tensor.reshape(-1)


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

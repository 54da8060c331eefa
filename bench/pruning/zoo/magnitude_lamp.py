"""Layer-adaptive magnitude pruning: one global ranking of magnitudes made comparable between layers."""

from fractions import Fraction

import torch
from torch import Tensor, nn

from bench.pruning.masks import chosen_weights, keep_largest, kept_wanted
from bench.pruning.recipe import RECIPES, Context, Masks, Needs, Recipe, Scope, Structure


def magnitude_lamp(network: nn.Module, sparsity: Fraction, context: Context) -> Masks:
    """Rank w² divided by the sum of w² over the weights of its layer that are at least as large.

    The sum runs in float64 from the largest weight down, in a stable order, so ties have one order everywhere.

    Source: Lee et al. 2021, arXiv:2010.07611.
    """
    weights = chosen_weights(network, context)
    scores = {name: lamp(weight) for name, weight in weights.items()}
    return keep_largest(weights, scores, kept_wanted(weights, sparsity))


def lamp(weight: Tensor) -> Tensor:
    """Return w² / Σ v² over the weights v of the layer with v² ≥ w², counting w itself and no later tie."""
    squares = weight.detach().cpu().double().square().flatten()
    falling, order = squares.sort(descending=True, stable=True)
    scores = torch.zeros_like(squares)
    scores[order] = falling / falling.cumsum(dim=0).clamp_min(torch.finfo(torch.float64).tiny)
    return scores.view(weight.shape)


RECIPES.register("magnitude-lamp")(
    Recipe(
        name="magnitude-lamp",
        decide=magnitude_lamp,
        structure=Structure.UNSTRUCTURED,
        scope=Scope.GLOBAL,
        needs=Needs.NOTHING,
        version=1,
        source="Lee et al. 2021, arXiv:2010.07611",
        nested=True,
    )
)

"""Magnitude pruning at Erdős–Rényi–Kernel densities."""

from fractions import Fraction

from torch import nn

from bench.pruning.allocation import erk_quota
from bench.pruning.masks import chosen_weights, keep_per_layer, kept_wanted
from bench.pruning.recipe import RECIPES, Context, Masks, Needs, Recipe, Scope, Structure


def magnitude_erk(network: nn.Module, sparsity: Fraction, context: Context) -> Masks:
    """Keep the largest absolute weights of each layer, as many as the Erdős–Rényi–Kernel rule gives it.

    Source: Evci et al. 2020, arXiv:1911.11134.
    """
    weights = chosen_weights(network, context)
    scores = {name: weight.abs() for name, weight in weights.items()}
    return keep_per_layer(weights, scores, erk_quota(weights, kept_wanted(weights, sparsity)))


RECIPES.register("magnitude-erk")(
    Recipe(
        name="magnitude-erk",
        decide=magnitude_erk,
        structure=Structure.UNSTRUCTURED,
        scope=Scope.LAYER,
        needs=Needs.NOTHING,
        version=1,
        source="Evci et al. 2020, arXiv:1911.11134",
        nested=True,
    )
)

"""Uniform magnitude pruning: drop the smallest weights of each layer, all layers to the same sparsity."""

from fractions import Fraction

from torch import nn

from bench.pruning.allocation import uniform_quota
from bench.pruning.masks import chosen_weights, keep_per_layer, kept_wanted
from bench.pruning.recipe import RECIPES, Context, Masks, Needs, Recipe, Scope, Structure


def magnitude_uniform(network: nn.Module, sparsity: Fraction, context: Context) -> Masks:
    """Keep the largest absolute weights of each layer.

    Source: Han et al. 2015, arXiv:1506.02626, as "layerwise" in Blalock et al. 2020, arXiv:2003.03033.
    """
    weights = chosen_weights(network, context)
    scores = {name: weight.abs() for name, weight in weights.items()}
    return keep_per_layer(weights, scores, uniform_quota(weights, kept_wanted(weights, sparsity)))


RECIPES.register("magnitude-uniform")(
    Recipe(
        name="magnitude-uniform",
        decide=magnitude_uniform,
        structure=Structure.UNSTRUCTURED,
        scope=Scope.LAYER,
        needs=Needs.NOTHING,
        version=1,
        source="Han et al. 2015, arXiv:1506.02626",
        nested=True,
    )
)

"""Random pruning, all layers to the same sparsity."""

from fractions import Fraction

from torch import nn

from bench.pruning.allocation import uniform_quota
from bench.pruning.chance import uniform
from bench.pruning.masks import chosen_weights, keep_per_layer, kept_wanted
from bench.pruning.recipe import RECIPES, Context, Masks, Needs, Recipe, Scope, Structure


def random_uniform(network: nn.Module, sparsity: Fraction, context: Context) -> Masks:
    """Keep random weights of each layer.

    Source: the random-local-unstructured method of Merkle et al. 2021, arXiv:2108.08560.
    """
    weights = chosen_weights(network, context)
    scores = {
        name: uniform(weight.numel(), seed=context.seed, purpose=f"random-uniform|{name}").view(weight.shape)
        for name, weight in weights.items()
    }
    return keep_per_layer(weights, scores, uniform_quota(weights, kept_wanted(weights, sparsity)))


RECIPES.register("random-uniform")(
    Recipe(
        name="random-uniform",
        decide=random_uniform,
        structure=Structure.UNSTRUCTURED,
        scope=Scope.LAYER,
        needs=Needs.NOTHING,
        version=1,
        source="Merkle et al. 2021, arXiv:2108.08560",
        nested=True,
    )
)

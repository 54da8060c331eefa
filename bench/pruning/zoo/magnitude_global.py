"""Global magnitude pruning: drop the smallest weights of the whole network."""

from fractions import Fraction

from torch import nn

from bench.pruning.masks import chosen_weights, keep_largest, kept_wanted
from bench.pruning.recipe import RECIPES, Context, Masks, Needs, Recipe, Scope, Structure


def magnitude_global(network: nn.Module, sparsity: Fraction, context: Context) -> Masks:
    """Keep the largest absolute weights over all layers at once.

    Source: Han et al. 2015, arXiv:1506.02626, as "global" in Blalock et al. 2020, arXiv:2003.03033.
    """
    weights = chosen_weights(network, context)
    scores = {name: weight.abs() for name, weight in weights.items()}
    return keep_largest(weights, scores, kept_wanted(weights, sparsity))


RECIPES.register("magnitude-global")(
    Recipe(
        name="magnitude-global",
        decide=magnitude_global,
        structure=Structure.UNSTRUCTURED,
        scope=Scope.GLOBAL,
        needs=Needs.NOTHING,
        version=1,
        source="Han et al. 2015, arXiv:1506.02626",
        nested=True,
    )
)

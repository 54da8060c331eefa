"""Two of four by magnitude."""

from fractions import Fraction

from torch import nn

from bench.pruning.blocks import two_of_four
from bench.pruning.masks import chosen_weights
from bench.pruning.recipe import RECIPES, Context, Masks, Needs, Recipe, Scope, Structure


def two_of_four_by_magnitude(network: nn.Module, sparsity: Fraction, context: Context) -> Masks:
    """Keep the two largest absolute weights of every block of four along the input channels.

    Source: Mishra et al. 2021, arXiv:2104.08378.
    """
    del sparsity
    weights = chosen_weights(network, context)
    return two_of_four(weights, {name: weight.abs() for name, weight in weights.items()})


RECIPES.register("magnitude-2of4")(
    Recipe(
        name="magnitude-2of4",
        decide=two_of_four_by_magnitude,
        structure=Structure.TWO_OF_FOUR,
        scope=Scope.LAYER,
        needs=Needs.NOTHING,
        version=1,
        source="Mishra et al. 2021, arXiv:2104.08378",
        nested=True,
    )
)

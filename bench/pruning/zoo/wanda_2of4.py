"""Two of four by weight times input norm."""

from fractions import Fraction

from torch import nn

from bench.pruning.activations import input_norms
from bench.pruning.adversary import calibration_of
from bench.pruning.blocks import two_of_four
from bench.pruning.masks import chosen_weights
from bench.pruning.recipe import RECIPES, Context, Masks, Needs, Recipe, Scope, Structure


def wanda_two_of_four(network: nn.Module, sparsity: Fraction, context: Context) -> Masks:
    """Keep the two largest |w| · ‖x‖ of every block of four along the input channels.

    Source: Sun et al. 2024, arXiv:2306.11695; blocks of convolutions as in Mishra et al. 2021, arXiv:2104.08378.
    """
    del sparsity
    weights = chosen_weights(network, context)
    images, _ = calibration_of(context, "wanda-2of4")
    norms = input_norms(network, weights, images)
    return two_of_four(weights, {name: weight.double().abs() * norms[name] for name, weight in weights.items()})


RECIPES.register("wanda-2of4")(
    Recipe(
        name="wanda-2of4",
        decide=wanda_two_of_four,
        structure=Structure.TWO_OF_FOUR,
        scope=Scope.LAYER,
        needs=Needs.CALIBRATION,
        version=1,
        source="Sun et al. 2024, arXiv:2306.11695",
        nested=True,
    )
)

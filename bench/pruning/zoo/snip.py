"""Saliency pruning on clean images: drop the weights whose absence changes the loss least, to first order."""

from fractions import Fraction

from torch import nn

from bench.pruning.gradients import clean_gradients, saliency
from bench.pruning.masks import chosen_weights, keep_largest, kept_wanted
from bench.pruning.recipe import RECIPES, Context, Masks, Needs, Recipe, Scope, Structure


def snip(network: nn.Module, sparsity: Fraction, context: Context) -> Masks:
    """Keep the largest |w · ∂L/∂w| over all layers at once, L on clean calibration images.

    Source: Lee et al. 2019, arXiv:1810.02340.
    """
    weights = chosen_weights(network, context)
    scores = saliency(weights, clean_gradients(network, weights, context, "snip"))
    return keep_largest(weights, scores, kept_wanted(weights, sparsity))


RECIPES.register("snip")(
    Recipe(
        name="snip",
        decide=snip,
        structure=Structure.UNSTRUCTURED,
        scope=Scope.GLOBAL,
        needs=Needs.CALIBRATION,
        version=1,
        source="Lee et al. 2019, arXiv:1810.02340",
        nested=True,
    )
)

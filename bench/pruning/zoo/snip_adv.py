"""Saliency pruning on adversarial images: drop the weights whose absence changes the loss least, to first order."""

from fractions import Fraction

from torch import nn

from bench.pruning.gradients import adversarial_gradients, saliency
from bench.pruning.masks import chosen_weights, keep_largest, kept_wanted
from bench.pruning.recipe import RECIPES, Context, Masks, Needs, Recipe, Scope, Structure


def snip_adv(network: nn.Module, sparsity: Fraction, context: Context) -> Masks:
    """Keep the largest |w · ∂L/∂w| over all layers at once, L on adversarial calibration images.

    Source: Lee et al. 2019, arXiv:1810.02340; on PGD images, Madry et al. 2018, arXiv:1706.06083.
    """
    weights = chosen_weights(network, context)
    scores = saliency(weights, adversarial_gradients(network, weights, context, "snip-adv"))
    return keep_largest(weights, scores, kept_wanted(weights, sparsity))


RECIPES.register("snip-adv")(
    Recipe(
        name="snip-adv",
        decide=snip_adv,
        structure=Structure.UNSTRUCTURED,
        scope=Scope.GLOBAL,
        needs=Needs.CALIBRATION,
        version=1,
        source="Lee et al. 2019, arXiv:1810.02340",
        nested=True,
    )
)

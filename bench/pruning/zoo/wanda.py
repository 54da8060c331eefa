"""Pruning by weight times input norm, every output row to the same sparsity."""

from fractions import Fraction
from itertools import islice

from torch import nn

from bench.pruning.activations import input_norms
from bench.pruning.adversary import calibration_of
from bench.pruning.allocation import apportion
from bench.pruning.masks import chosen_weights, keep_per_row, kept_wanted
from bench.pruning.recipe import RECIPES, Context, Masks, Needs, Recipe, Scope, Structure


def wanda(network: nn.Module, sparsity: Fraction, context: Context) -> Masks:
    """Keep the largest |w| · ‖x‖ of each output row, x being the inputs that the weight multiplies.

    Source: Sun et al. 2024, arXiv:2306.11695.
    Differs from the source: convolutions are rows over their patches, and the classifier is pruned like every layer,
    since the target counts it.
    """
    weights = chosen_weights(network, context)
    images, _ = calibration_of(context, "wanda")
    norms = input_norms(network, weights, images)
    lengths = [weight[0].numel() for weight in weights.values() for _ in range(len(weight))]
    nonzero = [count for weight in weights.values() for count in (weight != 0).flatten(1).sum(dim=1).tolist()]
    quota = iter(apportion(lengths, nonzero, kept_wanted(weights, sparsity)))
    masks = {}
    for name, weight in weights.items():
        scores = weight.double().abs() * norms[name]
        masks[name] = keep_per_row(name, weight, scores, list(islice(quota, len(weight))))
    return masks


RECIPES.register("wanda")(
    Recipe(
        name="wanda",
        decide=wanda,
        structure=Structure.UNSTRUCTURED,
        scope=Scope.LAYER,
        needs=Needs.CALIBRATION,
        version=1,
        source="Sun et al. 2024, arXiv:2306.11695",
        nested=True,
    )
)

"""Random pruning at Erdős–Rényi–Kernel densities: the floor that a criterion has to beat."""

from fractions import Fraction

from torch import nn

from bench.pruning.allocation import erk_quota
from bench.pruning.chance import uniform
from bench.pruning.masks import chosen_weights, keep_per_layer, kept_wanted
from bench.pruning.recipe import RECIPES, Context, Masks, Needs, Recipe, Scope, Structure


def random_erk(network: nn.Module, sparsity: Fraction, context: Context) -> Masks:
    """Keep random weights, as many per layer as the Erdős–Rényi–Kernel rule gives it.

    Source: Evci et al. 2020, arXiv:1911.11134.
    """
    weights = chosen_weights(network, context)
    scores = {
        name: uniform(weight.numel(), seed=context.seed, purpose=f"random-erk|{name}").view(weight.shape)
        for name, weight in weights.items()
    }
    return keep_per_layer(weights, scores, erk_quota(weights, kept_wanted(weights, sparsity)))


RECIPES.register("random-erk")(
    Recipe(
        name="random-erk",
        decide=random_erk,
        structure=Structure.UNSTRUCTURED,
        scope=Scope.LAYER,
        needs=Needs.NOTHING,
        version=1,
        source="Evci et al. 2020, arXiv:1911.11134",
        nested=True,
    )
)

"""No pruning: the control that every other recipe is read against."""

from fractions import Fraction

from torch import nn

from bench.pruning.recipe import RECIPES, Context, Masks, Needs, Recipe, Scope, Structure


def dense(network: nn.Module, sparsity: Fraction, context: Context) -> Masks:
    """Keep every weight."""
    del network, sparsity, context
    return {}


RECIPES.register("dense")(
    Recipe(
        name="dense",
        decide=dense,
        structure=Structure.DENSE,
        scope=Scope.NONE,
        needs=Needs.NOTHING,
        version=1,
        source="the control of Blalock et al. 2020, arXiv:2003.03033",
        nested=True,
    )
)

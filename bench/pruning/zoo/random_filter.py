"""Random filter pruning, all layers at one ratio."""

from fractions import Fraction

from torch import nn

from bench.pruning.chance import uniform
from bench.pruning.recipe import RECIPES, Channels, Context, Needs, Recipe, Scope, Structure
from bench.pruning.structure import choose, equal_ratio, filter_groups


def random_filter(network: nn.Module, sparsity: Fraction, context: Context) -> Channels:
    """Keep random filters of each convolution.

    Source: the random-local-filter method of Merkle et al. 2021, arXiv:2108.08560.
    Differs from the source: filters are physically removed, so only those inside a block can go.
    """
    groups = filter_groups(network, context)
    scores = {
        group.producer: uniform(group.size, seed=context.seed, purpose=f"random-filter|{group.producer}")
        for group in groups
    }
    return choose(network, groups, equal_ratio(scores), sparsity, context)


RECIPES.register("random-filter")(
    Recipe(
        name="random-filter",
        decide=random_filter,
        structure=Structure.CHANNEL,
        scope=Scope.LAYER,
        needs=Needs.NOTHING,
        version=1,
        source="Merkle et al. 2021, arXiv:2108.08560",
        nested=True,
    )
)

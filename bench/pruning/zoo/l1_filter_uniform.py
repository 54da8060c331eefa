"""Filter pruning by magnitude, all layers at one ratio."""

from fractions import Fraction

from torch import nn

from bench.pruning.recipe import RECIPES, Channels, Context, Needs, Recipe, Scope, Structure
from bench.pruning.structure import choose, equal_ratio, filter_groups, filter_sums


def l1_filter_uniform(network: nn.Module, sparsity: Fraction, context: Context) -> Channels:
    """Keep the filters with the largest sum of absolute weights in each convolution.

    Source: Li et al. 2017, arXiv:1608.08710; the mag-local-filter method of Merkle et al. 2021, arXiv:2108.08560.
    Differs from the source: filters are physically removed, so only those inside a block can go.
    """
    groups = filter_groups(network, context)
    return choose(network, groups, equal_ratio(filter_sums(network, groups)), sparsity, context)


RECIPES.register("l1-filter-uniform")(
    Recipe(
        name="l1-filter-uniform",
        decide=l1_filter_uniform,
        structure=Structure.CHANNEL,
        scope=Scope.LAYER,
        needs=Needs.NOTHING,
        version=1,
        source="Li et al. 2017, arXiv:1608.08710",
        nested=True,
    )
)

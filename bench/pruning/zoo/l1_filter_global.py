"""Filter pruning by magnitude, one ranking over all layers."""

from fractions import Fraction

from torch import nn

from bench.pruning.recipe import RECIPES, Channels, Context, Needs, Recipe, Scope, Structure
from bench.pruning.structure import choose, filter_groups, filter_sums


def l1_filter_global(network: nn.Module, sparsity: Fraction, context: Context) -> Channels:
    """Keep the filters with the largest mean absolute weight, over all convolutions at once.

    The mean and not the sum makes filters of different sizes comparable.

    Source: Li et al. 2017, arXiv:1608.08710; the mag-global-filter method of Merkle et al. 2021, arXiv:2108.08560.
    Differs from the source: filters are physically removed, so only those inside a block can go.
    """
    groups = filter_groups(network, context)
    sums = filter_sums(network, groups)
    means = {name: total / network.get_parameter(f"{name}.weight")[0].numel() for name, total in sums.items()}
    return choose(network, groups, means, sparsity, context)


RECIPES.register("l1-filter-global")(
    Recipe(
        name="l1-filter-global",
        decide=l1_filter_global,
        structure=Structure.CHANNEL,
        scope=Scope.GLOBAL,
        needs=Needs.NOTHING,
        version=1,
        source="Li et al. 2017, arXiv:1608.08710",
        nested=True,
    )
)

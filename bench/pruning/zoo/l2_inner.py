"""Group magnitude: remove inner channels by the length of all weights that go with them, at one ratio everywhere."""

from fractions import Fraction

from torch import nn

from bench.pruning.groups import channel_sums
from bench.pruning.recipe import RECIPES, Channels, Context, Needs, Recipe, Scope, Structure
from bench.pruning.structure import choose, equal_ratio, inner_groups


def l2_inner(network: nn.Module, sparsity: Fraction, context: Context) -> Channels:
    """Keep the channels with the largest √Σ w² over the filter and the slices of its consumers.

    Source: Li et al. 2017, arXiv:1608.08710, for filters; Fang et al. 2023, arXiv:2301.12900, for groups.
    """
    groups = inner_groups(network, context)
    state = network.state_dict()
    weights = {name: state[name] for group in groups for name, _ in group.owners if name.endswith("weight")}
    squares = {name: weight.double().square() for name, weight in weights.items() if weight.ndim > 1}
    scores = {name: total.sqrt() for name, total in channel_sums(groups, squares).items()}
    return choose(network, groups, equal_ratio(scores), sparsity, context)


RECIPES.register("l2-inner")(
    Recipe(
        name="l2-inner",
        decide=l2_inner,
        structure=Structure.CHANNEL,
        scope=Scope.LAYER,
        needs=Needs.NOTHING,
        version=1,
        source="Li et al. 2017, arXiv:1608.08710; Fang et al. 2023, arXiv:2301.12900",
        nested=True,
    )
)

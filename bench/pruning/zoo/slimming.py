"""Network slimming: remove the channels with the smallest batch-norm scales, one ranking over all layers."""

from collections.abc import Iterator
from fractions import Fraction

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bench.errors import InfeasibleError
from bench.pruning.groups import Group
from bench.pruning.recipe import RECIPES, Channels, Context, Needs, Recipe, Scope, Structure
from bench.pruning.structure import choose, inner_groups


def slimming(network: nn.Module, sparsity: Fraction, context: Context) -> Channels:
    """Keep the channels with the largest |γ|, the scale of the batch norm behind them, over all layers at once.

    Channels with several norms, as around a depthwise convolution, rank by the geometric mean of their scales; layers
    without batch norm stay whole.

    Source: Liu et al. 2017, arXiv:1708.06519.
    Differs from the source: scales are taken as they are, where the source first trains them towards zero under an L1
    penalty; channels are removed inside blocks alone.
    """
    modules = dict(network.named_modules())
    groups, scores = [], {}
    for group in inner_groups(network, context):
        scales = list(_scales(group, modules))
        if scales:
            groups.append(group)
            scores[group.producer] = torch.stack(scales).log().mean(dim=0).exp()
    if not groups:
        raise InfeasibleError(
            "slimming ranks channels by the scales of batch norm, and no inner channel of the network has one; "
            "choose another structured recipe."
        )
    return choose(network, groups, scores, sparsity, context)


def _scales(group: Group, modules: dict[str, nn.Module]) -> Iterator[Tensor]:
    """Yield |γ| per channel for every batch norm of a group."""
    for (name, dimension), owner in group.owners.items():
        path, _, kind = name.rpartition(".")
        module = modules[path]
        if kind == "weight" and dimension == 0 and isinstance(module, _BatchNorm):
            scale = torch.zeros(group.size + 1, dtype=torch.float64)
            scale[owner] = module.weight.detach().cpu().double().abs()
            yield scale[: group.size]


RECIPES.register("slimming")(
    Recipe(
        name="slimming",
        decide=slimming,
        structure=Structure.CHANNEL,
        scope=Scope.GLOBAL,
        needs=Needs.NOTHING,
        version=1,
        source="Liu et al. 2017, arXiv:1708.06519",
        nested=True,
    )
)

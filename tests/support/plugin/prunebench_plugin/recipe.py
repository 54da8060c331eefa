"""Drops the first weights of every layer."""

import torch

from bench.pruning.masks import prunable
from bench.pruning.recipe import RECIPES, Needs, Recipe, Scope, Structure


def decide(network, sparsity, context):
    weights = prunable(network, context.example)
    drop = round(float(sparsity) * sum(weight.numel() for weight in weights.values()))
    masks = {}
    for name, weight in weights.items():
        gone = min(drop, weight.numel())
        masks[name] = (torch.arange(weight.numel()) >= gone).view(weight.shape)
        drop -= gone
    return masks


RECIPES.register("plugged-first")(
    Recipe(
        name="plugged-first",
        decide=decide,
        structure=Structure.UNSTRUCTURED,
        scope=Scope.GLOBAL,
        needs=Needs.NOTHING,
        version=1,
        source="nobody's",
        nested=True,
    )
)

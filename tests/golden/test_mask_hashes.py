"""The masks of every recipe version, as hashes; a change of a mask needs a new version of its recipe.

Made on CPU with torch 2.15, float32, one thread, by ``UPDATE_GOLDEN=1 pytest tests/golden/test_mask_hashes.py``. The
weights are drawn from hashes, so they are the same everywhere. Recipes that look at images are not held: sums over
activations and gradients are not bitwise portable.
"""

import json
import os
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from bench.pruning.chance import uniform
from bench.pruning.masks import mask_digest
from bench.pruning.prune import prune
from bench.pruning.recipe import RECIPES, Context, Needs, Structure
from tests.support.pruning_networks import build, context

FILE = Path(__file__).with_name("mask_hashes.json")
HELD = [
    name for name in RECIPES if RECIPES[name].needs is Needs.NOTHING and RECIPES[name].structure is not Structure.DENSE
]


def network() -> torch.nn.Module:
    """Return weights that depend on nothing but their names."""
    made = build("residual")
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            drawn = uniform(parameter.numel(), seed=0, purpose=name).view(parameter.shape) - 0.5
            parameter.copy_(drawn.float())
    return made


def hashes(name: str) -> dict[str, str]:
    """Return the digest of what a recipe keeps, by sparsity; structured recipes are hashed by their slice plan."""
    recipe, given = RECIPES[name], Context(example=context().example)
    targets = ["1/2"] if recipe.structure is Structure.TWO_OF_FOUR else ["1/4", "1/2", "3/5"]
    found = {}
    for target in targets:
        pruned = prune(network(), name, Fraction(target), given)
        masks = dict(pruned.masks)
        for tensor, cuts in pruned.plan.items():
            for axis, kept in cuts.items():
                mask = torch.zeros(network().state_dict()[tensor].shape[axis], dtype=torch.bool)
                mask[list(kept)] = True
                masks[f"{tensor}|{axis}"] = mask
        found[target] = mask_digest(masks)
    return found


@pytest.mark.parametrize("name", HELD)
def test_a_recipe_version_never_changes_its_masks(name):
    held = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
    if os.environ.get("UPDATE_GOLDEN"):
        held |= {f"{name} {RECIPES[name].version}": hashes(name)}
        FILE.write_text(json.dumps(held, indent=2, sort_keys=True) + "\n", "utf-8")
    assert held[f"{name} {RECIPES[name].version}"] == hashes(name)


def test_no_hash_is_left_of_a_recipe_that_is_gone():
    assert {key.split()[0] for key in json.loads(FILE.read_text("utf-8"))} == set(HELD)

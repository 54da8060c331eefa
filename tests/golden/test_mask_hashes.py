"""The masks of every recipe version; a change of a mask needs a new version of its recipe.

Made on CPU with torch 2.15, float32, one thread, by ``UPDATE_GOLDEN=1 pytest tests/golden/test_mask_hashes.py``. The
weights and images are drawn from hashes, so they are the same everywhere. Recipes that look at nothing are held by the
hash of their masks. Sums over activations and gradients are not bitwise portable, so of recipes that look at images
the masks themselves are kept, and of a thousand weights that either keeps, all but one must be kept by both. Recipes
that train are not held.
"""

import base64
import json
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.pruning.chance import uniform
from bench.pruning.masks import mask_digest
from bench.pruning.prune import prune
from bench.pruning.recipe import RECIPES, Context, Needs, Structure
from tests.support.pruning_networks import build, context

FILE, BITS = (Path(__file__).with_name(name) for name in ("mask_hashes.json", "mask_bits.json"))
HELD = [
    name for name in RECIPES if RECIPES[name].needs is Needs.NOTHING and RECIPES[name].structure is not Structure.DENSE
]

LOOKING = [name for name in RECIPES if RECIPES[name].needs is Needs.CALIBRATION]
AGREE = 0.999


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
    targets = ["1/2"] if RECIPES[name].structure is Structure.TWO_OF_FOUR else ["1/4", "1/2", "3/5"]
    given = Context(example=context().example)
    return {target: mask_digest(masks(name, target, given)) for target in targets}


def masks(name: str, target: str, given: Context) -> dict[str, torch.Tensor]:
    """Return what a recipe keeps, by tensor, or by tensor and dimension where channels go."""
    pruned = prune(network(), name, Fraction(target), given)
    found = dict(pruned.masks)
    for tensor, cuts in pruned.plan.items():
        for axis, kept in cuts.items():
            mask = torch.zeros(network().state_dict()[tensor].shape[axis], dtype=torch.bool)
            mask[list(kept)] = True
            found[f"{tensor}|{axis}"] = mask
    return found


def bits(name: str) -> np.ndarray:
    """Return what a recipe keeps that looks at images, in one row."""
    drawn = uniform(24 * 3 * 64, seed=0, purpose="images").view(24, 3, 8, 8).float()
    labels = (uniform(24, seed=0, purpose="labels") * 10).long()
    given = context(example=drawn[:4], calibration=(drawn, labels))
    return torch.cat([mask.flatten() for _, mask in sorted(masks(name, "1/2", given).items())]).numpy()


@pytest.mark.parametrize("name", HELD)
def test_a_recipe_version_never_changes_its_masks(name):
    held = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
    if os.environ.get("UPDATE_GOLDEN"):
        held |= {f"{name} {RECIPES[name].version}": hashes(name)}
        FILE.write_text(json.dumps(held, indent=2, sort_keys=True) + "\n", "utf-8")
    assert held[f"{name} {RECIPES[name].version}"] == hashes(name)


@pytest.mark.parametrize("name", LOOKING)
def test_a_recipe_version_that_looks_at_images_keeps_the_same(name):
    now, key = bits(name), f"{name} {RECIPES[name].version}"
    held = json.loads(BITS.read_text("utf-8")) if BITS.exists() else {}
    if os.environ.get("UPDATE_GOLDEN"):
        held |= {key: base64.b64encode(np.packbits(now).tobytes()).decode()}
        BITS.write_text(json.dumps(held, indent=2, sort_keys=True) + "\n", "utf-8")
    stored = np.frombuffer(base64.b64decode(held[key]), dtype=np.uint8)
    before = np.unpackbits(stored, count=len(now)).astype(bool)
    assert (before & now).sum() >= AGREE * (before | now).sum()


def test_no_mask_is_left_of_a_recipe_that_is_gone():
    assert {key.split()[0] for key in json.loads(BITS.read_text("utf-8"))} == set(LOOKING)


def test_no_hash_is_left_of_a_recipe_that_is_gone():
    assert {key.split()[0] for key in json.loads(FILE.read_text("utf-8"))} == set(HELD)

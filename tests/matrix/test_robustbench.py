"""Every architecture of RobustBench's zoo: built, saved, loaded strictly, pruned by every recipe, attacked.

The table beside this file sorts all names of the zoo by architecture, a small one first, and tells which of them differ
from others in widths and numbers of classes alone. Each is run in the classes that RobustBench builds it from, told to
be narrow and shallow; at the size that its name means it is built, saved, loaded and asked for a gradient.
"""

import json
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from bench.errors import UsageError
from bench.models.source import ModelRef, load
from bench.models.weights import read
from bench.pruning.recipe import RECIPES
from tests.support import zoo
from tests.support.matrix import CHANNEL, hold, hold_gradient, pictures

TABLE = json.loads((Path(__file__).parent / "robustbench.json").read_text("utf-8"))
NAMES = list(TABLE["architectures"])
ALIKE = TABLE["alike"]
REFUSED = [(name, why) for why, refused in TABLE["refused"].items() for name in refused]
SAMPLE = ["cifar10/Linf/Carmon2019Unlabeled", "cifar10/Linf/Ding2020MMA"]
OF_EVERY_KIND = ["magnitude-global", "l1-filter-uniform", "l2-inner", "taylor-adv-inner", "wanda-2of4"]

UNSEEN = "no input of 'network.fc.weight' was seen"
FILTERS = ("l1-filter-global", "l1-filter-uniform", "random-filter")
NO_FILTERS = dict.fromkeys(FILTERS, "no inner channels")
NO_SCALES = {"slimming": "scales of batch norm"}
SHORT_LIST = {
    # the last layer multiplies with weights that are normalised in every pass, so its inputs are not seen at a weight
    "cifar10/Linf/Pang2020Boosting": dict.fromkeys(["sparsegpt", "wanda", "wanda-2of4"], UNSEEN),
    # the image of ones that synaptic flow starts from is standardised to zeros
    "cifar10/Linf/Ding2020MMA": {"synflow": "where every image is standardised by itself"},
    # its solver takes every image by itself, so no channel can be marked through it; it has no batch norm
    "cifar10/Linf/Kang2021Stable": NO_FILTERS
    | dict.fromkeys(["l2-inner", "taylor-adv-inner"], "no inner channels")
    | {"slimming": "scales of batch norm"},
    # its batch norms have no scales
    "cifar10/corruptions/Diffenderfer2021Winning_Binary": NO_SCALES,
    # no convolution stands between two others without a norm over channels, and there is no batch norm
    **{
        f"imagenet/Linf/{name}": NO_FILTERS | NO_SCALES
        for name in (
            "Singh2023Revisiting_ViT-S-ConvStem",
            "Singh2023Revisiting_ViT-B-ConvStem",
            "Singh2023Revisiting_ConvNeXt-T-ConvStem",
            "Singh2023Revisiting_ConvNeXt-B-ConvStem",
            "Liu2023Comprehensive_ConvNeXt-B",
            "Liu2023Comprehensive_Swin-B",
            "Mo2022When_ViT-B",
            "Xu2024MIMIR_Swin-B",
            "Amini2024MeanSparse_ConvNeXt-L",
            "Amini2024MeanSparse_Swin-L",
        )
    },
}
"""What cannot pass: by network and recipe, words of the refusal."""
LESS = {
    # its convolutions are grouped
    "cifar10/corruptions/Hendrycks2020AugMix_ResNeXt": Fraction(1, 200),
    # its wide convolutions are grouped, which mixes channels; what is left holds a hundredth of the weights
    "imagenet/Linf/Peng2023Robust": Fraction(1, 100),
}
"""Shares of parameters that are asked to go with whole channels, where a tenth is too much."""


def side(name: str) -> int:
    """Return the height of images that is enough for an architecture."""
    fixed = any(word in name for word in ("ViT", "Swin", "DeiT"))
    return 32 if name.startswith("cifar") else 224 if fixed else 64


def placed_small(name: str, folder: Path):
    """Return the small sibling of an architecture as it comes back from a file."""
    with zoo.small_as(name):
        return zoo.from_robustbench(name, folder, pictures(32 if name.startswith("cifar") else 224))


def test_the_table_names_every_network_of_the_zoo_once():
    sorted_names = [*NAMES, *(name for names in TABLE["architectures"].values() for name in names)]
    assert sorted([*sorted_names, *(name for name, _ in REFUSED)]) == sorted(zoo.names())
    assert {*SHORT_LIST, *LESS} | ALIKE.keys() | set(ALIKE.values()) <= set(NAMES)
    assert not (ALIKE.keys() & {*SHORT_LIST, *LESS, *ALIKE.values()})
    assert all(recipes.keys() <= set(RECIPES) for recipes in SHORT_LIST.values())


@pytest.mark.parametrize(("name", "why"), REFUSED)
def test_what_has_no_single_file_of_weights_is_refused_with_the_reason(name, why):
    with pytest.raises(UsageError, match=why):
        load(ModelRef.parse(f"robustbench:{name}"))


@pytest.mark.parametrize("name", SAMPLE)
def test_two_architectures_go_through_recipes_of_every_kind_and_all_attacks(name, placed):
    recipes = [*OF_EVERY_KIND, "synflow"]
    hold(placed_small(name, placed), pictures(32), SHORT_LIST.get(name, {}), recipes)


@pytest.mark.matrix
def test_the_table_puts_names_together_that_are_one_architecture():
    for first, others in TABLE["architectures"].items():
        assert {zoo.likeness(zoo.made(name)) for name in others} <= {zoo.likeness(zoo.made(first))}
    kinds = [(name.partition("/")[0], zoo.likeness(zoo.made(name))) for name in NAMES]
    assert len(set(kinds)) == len(kinds)
    skeletons = {name: zoo.skeleton(zoo.made(name)) for name in NAMES}
    assert all(skeletons[name] == skeletons[first] for name, first in ALIKE.items())


@pytest.mark.matrix
@pytest.mark.parametrize("name", [name for name in NAMES if name not in ALIKE])
def test_goes_through_every_recipe_and_every_attack(name, placed):
    loaded = placed_small(name, placed)
    hold(loaded, pictures(side(name)), SHORT_LIST.get(name, {}), channel=LESS.get(name, CHANNEL))


@pytest.mark.matrix
@pytest.mark.parametrize(("name", "first"), ALIKE.items())
def test_what_differs_in_widths_and_classes_goes_through_recipes_of_every_kind_and_all_attacks(name, first, placed):
    refused = {recipe: why for recipe, why in SHORT_LIST.get(first, {}).items() if recipe in OF_EVERY_KIND}
    hold(placed_small(name, placed), pictures(side(name)), refused, OF_EVERY_KIND, LESS.get(first, CHANNEL))


@pytest.mark.matrix
@pytest.mark.parametrize("name", NAMES)
def test_at_its_full_size_it_is_built_saved_loaded_and_asked_for_a_gradient(name, placed):
    loaded = zoo.from_robustbench(name, placed, pictures(32 if name.startswith("cifar") else 224))
    stored, state = read(placed / "robustbench" / f"{name}.safetensors"), loaded.classifier.state_dict()
    folded = {key for key in stored if ".parametrizations." in key}  # computed once and for all
    weights = {key.replace(".parametrizations", "").rpartition(".")[0] for key in folded if key.endswith(".original")}
    assert {f"network.{key}" for key in (stored.keys() - folded) | weights} == state.keys()
    for key in stored.keys() - folded:  # up to the rounding of a network that normalises its own weights
        torch.testing.assert_close(state[f"network.{key}"], stored[key], rtol=1e-5, atol=0)
    hold_gradient(loaded, pictures(side(name)))

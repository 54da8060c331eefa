"""One network of each of two dozen families of timm: built, saved, loaded, pruned by every recipe, attacked.

Recipes and attacks run in a narrow and shallow sibling where its class can be told to be one.
"""

from fractions import Fraction

import pytest

from tests.support import zoo
from tests.support.matrix import CHANNEL, hold, hold_gradient, pictures

NONE, SCALES = "no inner channels", "scales of batch norm"
FILTERS = ("l1-filter-global", "l1-filter-uniform", "random-filter")
SHORT_LIST = {
    # convolutions: their only one makes the patches that the residual stream is made of, and there is no batch norm
    name: dict.fromkeys(FILTERS, NONE) | {"slimming": SCALES}
    for name in (
        "vit_tiny_patch16_224",
        "deit_tiny_patch16_224",
        "swin_tiny_patch4_window7_224",
        "mixer_s16_224",
        "edgenext_xx_small",
    )
} | {
    # norms over channels alone, or none at all
    **{name: {"slimming": SCALES} for name in ("convnext_atto", "poolformer_s12", "vgg11")},
    # every layer is summed with others, and the sum with the next
    "repvgg_a0": dict.fromkeys((*FILTERS, "l2-inner", "taylor-adv-inner"), NONE) | {"slimming": SCALES},
}
"""What cannot pass: by network and recipe, words of the refusal."""
LESS = {
    # their wide convolutions are grouped, which mixes channels
    "regnetx_002": Fraction(1, 2000),
    "resnext50_32x4d": Fraction(1, 200),
    # what is not attention is mostly linear, and four recipes cut convolutions alone
    "xcit_nano_12_p8_224": Fraction(1, 50),
}
"""Shares of parameters that are asked to go with whole channels, where a tenth is too much."""
FAMILIES = {
    "resnet18": 64,
    "mobilenetv3_small_100": 64,
    "efficientnet_b0": 64,
    "convnext_atto": 64,
    "vit_tiny_patch16_224": 64,
    "deit_tiny_patch16_224": 64,
    "swin_tiny_patch4_window7_224": 64,
    "mixer_s16_224": 64,
    "regnetx_002": 64,
    "densenet121": 64,
    "edgenext_xx_small": 64,
    "inception_v3": 96,
    "vgg11": 64,
    "repvgg_a0": 64,
    "ghostnet_100": 64,
    "mnasnet_100": 64,
    "xcit_nano_12_p8_224": 64,
    "poolformer_s12": 64,
    "dla34": 64,
    "legacy_seresnet18": 64,
    "cspresnet50": 64,
    "res2net50_26w_4s": 64,
    "resnext50_32x4d": 64,
    "tresnet_m": 64,
}
"""By name, a height of images that is enough: the convolutions of the last four mix, split and group channels."""


def test_a_network_of_convolutions_and_attention_goes_through_channel_recipes_and_all_attacks(placed):
    loaded = zoo.from_timm("edgenext_xx_small", placed, pictures(64))
    hold(loaded, pictures(64), SHORT_LIST["edgenext_xx_small"], ["taylor-adv-inner", *SHORT_LIST["edgenext_xx_small"]])


@pytest.mark.matrix
@pytest.mark.parametrize("name", list(FAMILIES))
def test_goes_through_every_recipe_and_every_attack(name, placed):
    images = pictures(FAMILIES[name])
    with zoo.small():
        loaded = zoo.from_timm(name, placed, images)
    hold(loaded, images, SHORT_LIST.get(name, {}), channel=LESS.get(name, CHANNEL))


@pytest.mark.matrix
@pytest.mark.parametrize("name", list(FAMILIES))
def test_at_its_full_size_it_is_built_saved_loaded_and_asked_for_a_gradient(name, placed):
    images = pictures(FAMILIES[name])
    hold_gradient(zoo.from_timm(name, placed, images), images)

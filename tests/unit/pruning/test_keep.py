"""Layers that stay whole: what their names mean, that the others make up for them, and what is told."""

from fractions import Fraction

import pytest
import torch

from bench.errors import InfeasibleError, UsageError
from bench.models.source import Normalised
from bench.pruning.masks import named_weights, prunable, zeros_wanted
from bench.pruning.prune import prune
from bench.pruning.recipe import RECIPES, Structure
from bench.pruning.structure import parameters
from bench.pruning.telling import faster, reached
from tests.support.pruning_networks import build, context

HALF = Fraction(1, 2)


def kept(*names):
    return context(keep=frozenset(names))


def test_a_module_stands_for_all_inside_of_it_and_the_normalisation_around_may_be_left_out():
    network = Normalised(build("attention"), (0.0,), (1.0,))
    example = context().example
    inside = {
        "network.layer.self_attn.in_proj_weight", "network.layer.self_attn.out_proj.weight",
        "network.layer.linear1.weight", "network.layer.linear2.weight",
    }  # fmt: skip
    assert named_weights(network, ["layer"], example) == inside
    assert named_weights(network, ["network.layer.linear1", "head.weight"], example) == {
        "network.layer.linear1.weight",
        "network.head.weight",
    }
    assert named_weights(network, inside, example) == inside


@pytest.mark.parametrize(
    ("word", "says"),
    [("frist", "Did you mean 'first'"), ("fir", "Known: first, head"), ("unused", "No prunable layer is called")],
)
def test_a_name_that_no_prunable_layer_carries_is_refused(word, says):
    with pytest.raises(UsageError, match=says):
        prune(build("residual"), "magnitude-global", HALF, kept(word))


@pytest.mark.parametrize("recipe", [name for name in RECIPES if RECIPES[name].structure is Structure.UNSTRUCTURED])
def test_the_other_layers_lose_what_the_whole_was_asked_to_lose(recipe):
    parent = build("residual")
    pruned = prune(parent, recipe, HALF, kept("stem", "head"))
    assert torch.equal(pruned.network.stem.weight, parent.stem.weight)
    assert torch.equal(pruned.network.head.weight, parent.head.weight)
    assert pruned.measured.zeros == zeros_wanted(prunable(parent, context().example), HALF)
    assert not {"stem.weight", "head.weight"} & pruned.masks.keys()


@pytest.mark.parametrize("recipe", [name for name in RECIPES if RECIPES[name].structure is Structure.TWO_OF_FOUR])
def test_a_kept_layer_stays_dense_under_two_of_four(recipe):
    parent = build("residual")
    pruned = prune(parent, recipe, None, kept("first"))
    assert int((pruned.network.first.weight == 0).sum()) == 0
    assert int((pruned.network.second.weight == 0).sum()) == parent.second.weight.numel() // 2
    told = reached(RECIPES[recipe], parent, pruned, kept("first.weight"))
    assert told.endswith("dense stay stem.weight, first.weight, head.weight.")


@pytest.mark.parametrize("recipe", [name for name in RECIPES if RECIPES[name].structure is Structure.CHANNEL])
def test_no_channel_of_a_kept_layer_goes_whether_it_writes_or_reads_it(recipe):
    for layer in ("first", "second"):
        with pytest.raises(InfeasibleError, match=r"kept as asked \(1\)|scales of batch norm"):
            prune(build("residual"), recipe, Fraction(1, 10), kept(layer))


def test_keeping_more_than_the_target_leaves_is_infeasible():
    with pytest.raises(InfeasibleError, match=r"90\.0% of all prunable weights are asked to be zero"):
        prune(build("residual"), "magnitude-global", Fraction(9, 10), kept("first", "second"))


def test_what_was_reached_is_told_beside_what_was_asked():
    parent = build("residual")
    total = sum(weight.numel() for weight in prunable(parent, context().example).values())
    assert total == 3 * 16 * 9 + 2 * 16 * 32 * 9 + 160
    exact = prune(parent, "magnitude-global", Fraction(1, 4), context())
    assert reached(RECIPES["magnitude-global"], parent, exact, context()) == (
        "Asked for 25.00% zeros and reached 25.00%, exactly: 2,452 of 9,808."
    )
    third = prune(parent, "magnitude-global", Fraction(1, 3), context())
    assert "33.33%, the nearest whole number of weights: 3,269 of 9,808" in reached(
        RECIPES["magnitude-global"], parent, third, context()
    )
    slim = prune(parent, "l2-inner", Fraction(1, 3), context())
    before, after = (parameters(network, context().example) for network in (parent, slim.network))
    assert f"{before - after:,} of {before:,}: whole channels" in reached(RECIPES["l2-inner"], parent, slim, context())


def test_only_networks_that_lost_channels_are_told_to_be_faster():
    assert faster(Structure.CHANNEL, 0.5).endswith("takes 0.50 of its parent's time on this machine.")
    assert faster(Structure.UNSTRUCTURED, None).startswith("Is it faster? No: kernels for dense tensors")
    assert "sparse tensor cores" in faster(Structure.TWO_OF_FOUR, None)
    assert "as many channels" in faster(Structure.DENSE, None)

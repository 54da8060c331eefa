"""Each trap that pruning libraries and papers fell into, one test a trap."""

import copy
from fractions import Fraction

import pytest
import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from bench.errors import ContractError, InfeasibleError, UsageError
from bench.pruning.cost import macs
from bench.pruning.masks import keep_largest, prunable, reached
from bench.pruning.measure import measure
from bench.pruning.prune import prune
from bench.pruning.recipe import RECIPES, Context, Needs, Structure, Training
from bench.pruning.regime import REGIMES, Regime
from tests.support.pruning_networks import build, context

HALF, MOST = Fraction(1, 2), Fraction(9, 10)


def test_a_second_pruning_counts_all_weights_and_not_only_those_that_remain():
    once = prune(build("residual"), "magnitude-global", HALF, context()).network
    twice = prune(once, "magnitude-global", Fraction(3, 4), context()).measured
    assert twice.zeros == Fraction(3, 4) * twice.prunable


def test_a_target_below_the_zeros_that_are_there_is_infeasible():
    once = prune(build("residual"), "magnitude-global", MOST, context()).network
    for recipe in ("magnitude-global", "random-erk", "magnitude-uniform"):
        with pytest.raises(InfeasibleError, match="higher sparsity"):
            prune(once, recipe, HALF, context())


def test_zeros_that_are_there_are_the_first_to_go():
    once = prune(build("residual"), "random-uniform", HALF, context()).network
    same = prune(once, "random-erk", Fraction(19, 20), context(seed=5))
    assert same.measured.zeros == int(Fraction(19, 20) * same.measured.prunable + HALF)


def test_ties_give_the_exact_count_and_keep_the_earlier_weight():
    weights = {"a": torch.ones(2, 3), "b": torch.ones(4)}
    masks = keep_largest(weights, weights, 7)
    assert masks["a"].all()
    assert masks["b"].tolist() == [True, False, False, False]


def test_ties_do_not_depend_on_the_memory_format():
    weight = torch.ones(2, 3, 2, 2)
    plain = keep_largest({"a": weight}, {"a": weight}, 7)["a"]
    strided = weight.contiguous(memory_format=torch.channels_last)
    assert torch.equal(plain, keep_largest({"a": strided}, {"a": strided}, 7)["a"])


def test_a_block_that_is_never_executed_counts_nowhere():
    parent = build("residual")
    assert "unused.weight" not in reached(parent, context().example)
    pruned = prune(parent, "magnitude-global", HALF, context())
    assert torch.equal(pruned.network.unused.weight, parent.unused.weight)
    faked = copy.deepcopy(parent)
    faked.unused.weight.zero_()
    assert measure(parent, faked, context().example).zeros == 0


def test_sparsity_is_the_share_removed_and_not_the_share_kept():
    measured = prune(build("residual"), "magnitude-global", MOST, context()).measured
    assert measured.zeros / measured.prunable == pytest.approx(0.9, abs=1e-3)


def test_attention_projections_outside_of_any_linear_are_prunable():
    names = list(prunable(build("attention"), context().example))
    assert names == [
        "patches.weight",
        "layer.self_attn.in_proj_weight",
        "layer.self_attn.out_proj.weight",
        "layer.linear1.weight",
        "layer.linear2.weight",
        "head.weight",
    ]


def test_fused_attention_hides_no_work_from_the_counter():
    parent = build("attention")
    weights = prunable(parent, context().example)
    whole, parts = macs(parent, weights, context().example)
    tokens, width = 4, 16
    assert parts["layer.self_attn.in_proj_weight"] == tokens * width * 3 * width
    assert parts["layer.linear1.weight"] == parts["layer.linear2.weight"] == tokens * 16 * 32
    assert whole - sum(parts.values()) == 2 * tokens * tokens * width  # queries by keys, weights by values


def test_timm_counts_the_same_with_and_without_fused_attention():
    timm = pytest.importorskip("timm")
    network = timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=10).eval()
    images = torch.rand(1, 3, 32, 32)
    counts = []
    for fused in (True, False):
        for block in network.blocks:
            block.attn.fused_attn = fused
        counts.append(macs(network, prunable(network, images), images)[0])
    assert counts[0] == counts[1] > 0


def test_convolutions_count_as_in_the_textbook():
    parent = build("residual")
    _, parts = macs(parent, prunable(parent, context().example), context().example)
    assert parts["first.weight"] == 8 * 8 * 32 * 16 * 9
    assert parts["head.weight"] == 160


@pytest.mark.parametrize("regime", ["ft", "ft-adv", "ft-trades", "iterative"])
def test_momentum_and_weight_decay_revive_no_pruned_weight(regime):
    parent = build("residual")
    given = context(training=Training(epochs=3, batch=8, rate=0.1, momentum=0.9, decay=0.05, steps=1))
    pruned = prune(parent, "magnitude-global", MOST, given, regime)
    assert pruned.measured.zeros == prune(parent, "magnitude-global", MOST, given).measured.zeros
    moved = [name for name, mask in pruned.masks.items() if not torch.equal(
        pruned.network.get_parameter(name)[mask], parent.get_parameter(name)[mask])]  # fmt: skip
    assert moved, "the regime trained nothing"


def test_a_regime_that_revives_weights_is_caught(monkeypatch):
    def reviving(network, masks, context):
        del masks, context
        network.head.weight.add_(1.0)

    entries = REGIMES._entries | {"reviving": Regime("reviving", reviving, Needs.NOTHING, 1, "none")}
    assert "bn" in REGIMES
    monkeypatch.setattr(REGIMES, "_entries", entries)
    with pytest.raises(ContractError, match="revived"):
        prune(build("residual"), "magnitude-global", MOST, context(), "reviving")


def test_forgotten_pruning_hooks_are_refused():
    network = build("residual")
    torch_prune.l1_unstructured(network.first, "weight", amount=0.5)
    with pytest.raises(ContractError, match="hooks"):
        prune(network, "magnitude-global", HALF, context())
    torch_prune.remove(network.first, "weight")
    assert measure(None, network, context().example).zeros == network.first.weight.numel() // 2


def test_no_hook_is_left_behind():
    network = prune(build("residual"), "magnitude-global", HALF, context()).network
    assert list(network.state_dict()) == list(build("residual").state_dict())
    assert not any(module._forward_pre_hooks for module in network.modules())


def test_negative_zero_is_zero_and_tiny_is_not():
    network = build("residual")
    network.head.weight.fill_(-0.0)
    network.head.weight[0, 0] = 1e-30
    assert measure(None, network, context().example).zeros == network.head.weight.numel() - 1


def test_saliency_leaves_batch_norm_as_it_was():
    parent = build("residual").train()
    before = parent.norm.running_mean.clone()
    RECIPES["snip-adv"].decide(parent, HALF, context())
    assert torch.equal(parent.norm.running_mean, before)
    assert parent.training


def test_a_layer_without_weights_left_is_named():
    network = build("residual")
    network.first.weight.zero_()
    assert measure(None, network, context().example).collapsed_layers == ("first.weight",)


@pytest.mark.parametrize("sparsity", [Fraction(6, 5), Fraction(1), Fraction(0), Fraction(-1, 2), None])
def test_a_sparsity_outside_of_zero_and_one_is_a_usage_error(sparsity):
    with pytest.raises(UsageError):
        prune(build("residual"), "magnitude-global", sparsity, context())


def test_dense_takes_no_sparsity_and_two_of_four_no_other_than_a_half():
    with pytest.raises(UsageError, match="takes no sparsity"):
        prune(build("residual"), "dense", HALF, context())
    with pytest.raises(UsageError, match="one half"):
        prune(build("residual"), "magnitude-2of4", MOST, context())


def test_two_of_four_without_an_eligible_layer_is_infeasible():
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 10)).eval()
    with pytest.raises(InfeasibleError, match="eligible"):
        prune(network, "magnitude-2of4", None, context())


def test_fewer_weights_than_layers_is_infeasible():
    with pytest.raises(InfeasibleError, match="lower sparsity"):
        prune(build("residual"), "magnitude-uniform", Fraction(9999, 10000), context())


def test_recipes_that_need_images_say_so():
    with pytest.raises(UsageError, match="training images"):
        prune(build("residual"), "wanda", HALF, Context(example=context().example))


def test_a_recipe_that_drops_too_much_is_caught(monkeypatch):
    import dataclasses

    honest = RECIPES["magnitude-global"]
    greedy = dataclasses.replace(honest, decide=lambda net, _, ctx: honest.decide(net, MOST, ctx))
    monkeypatch.setattr(RECIPES, "_entries", RECIPES._entries | {"greedy": greedy})
    assert greedy.structure is Structure.UNSTRUCTURED
    with pytest.raises(ContractError, match="zeros"):
        prune(build("residual"), "greedy", HALF, context())

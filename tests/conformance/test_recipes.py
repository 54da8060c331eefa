"""The laws of every recipe; a new file in bench/pruning/zoo is under them at once."""

import copy
import json
from contextlib import suppress
from fractions import Fraction

import pytest
import torch

from bench.errors import InfeasibleError
from bench.pruning.blocks import eligible, violations
from bench.pruning.masks import prunable, zeros_wanted
from bench.pruning.prune import prune
from bench.pruning.recipe import RECIPES, Needs, Structure
from bench.pruning.slices import sliced
from bench.pruning.structure import inner_groups, parameters, widest_channel
from tests.support.pruning_networks import NETWORKS, build, context, kept

MASKING = [name for name in RECIPES if RECIPES[name].structure is not Structure.CHANNEL and not RECIPES[name].rewrites]
UNSTRUCTURED = [name for name in RECIPES if RECIPES[name].structure is Structure.UNSTRUCTURED]
NESTED = [name for name in UNSTRUCTURED if RECIPES[name].nested]
TARGETS = [Fraction(1, 2), Fraction(3, 4), Fraction(9, 10)]


def target(name: str) -> Fraction | None:
    """Return a sparsity that goes with the recipe."""
    structure = RECIPES[name].structure
    if structure is Structure.CHANNEL:
        return Fraction(1, 4)
    return None if structure is Structure.DENSE else Fraction(1, 2)


@pytest.mark.parametrize("name", list(RECIPES))
def test_says_what_it_is(name):
    recipe = RECIPES[name]
    assert recipe.name == name
    assert recipe.version >= 1
    assert "arXiv:" in recipe.source
    assert recipe.decide.__doc__


@pytest.mark.parametrize("network", list(NETWORKS))
@pytest.mark.parametrize("name", UNSTRUCTURED)
def test_makes_exactly_as_many_zeros_as_asked_for(name, network):
    parent = build(network)
    for sparsity in TARGETS:
        measured = prune(parent, name, sparsity, context()).measured
        assert measured.zeros == zeros_wanted(prunable(parent, context().example), sparsity)
        assert abs(measured.zeros - sparsity * measured.prunable) <= 1


@pytest.mark.parametrize("name", NESTED)
def test_keeps_less_of_the_same_as_sparsity_grows(name):
    parent = build("residual")
    before = None
    for sparsity in [Fraction(step, 20) for step in range(1, 20)]:
        pruned = prune(parent, name, sparsity, context())
        now = kept(pruned.network, pruned.masks)
        if before is not None:
            assert all(bool((now[layer] <= before[layer]).all()) for layer in now)
        before = now


@pytest.mark.parametrize("network", list(NETWORKS))
@pytest.mark.parametrize("name", list(RECIPES))
def test_leaves_the_parent_the_images_and_the_random_numbers_alone(name, network):
    parent, given = build(network), context()
    state, images = copy.deepcopy(parent.state_dict()), given.calibration[0].clone()
    random, modes = torch.get_rng_state(), [module.training for module in parent.modules()]
    with suppress(InfeasibleError):  # attention has no filters to remove; asking must still change nothing
        RECIPES[name].decide(parent, target(name) or Fraction(0), given)
        prune(parent, name, target(name), given)
    assert all(torch.equal(tensor, state[key]) for key, tensor in parent.state_dict().items())
    assert torch.equal(given.calibration[0], images)
    assert torch.equal(torch.get_rng_state(), random)
    assert [module.training for module in parent.modules()] == modes
    assert not any(parameter.requires_grad for parameter in parent.parameters())


@pytest.mark.parametrize("name", list(RECIPES))
def test_gives_the_same_again(name):
    first, second = (prune(build("residual"), name, target(name), context()).network for _ in range(2))
    assert all(torch.equal(tensor, second.state_dict()[key]) for key, tensor in first.state_dict().items())


@pytest.mark.parametrize("name", [name for name in RECIPES if RECIPES[name].needs is not Needs.TRAINING])
def test_does_not_depend_on_the_memory_format(name):
    parent = build("residual")
    strided = copy.deepcopy(parent).to(memory_format=torch.channels_last)
    plain = prune(parent, name, target(name), context()).network.state_dict()
    other = prune(strided, name, target(name), context()).network.state_dict()
    assert {key: tensor.shape for key, tensor in plain.items()} == {key: other[key].shape for key in plain}
    differing = sum(int(((tensor != 0) != (other[key] != 0)).sum()) for key, tensor in plain.items())
    assert differing <= (0 if RECIPES[name].needs is Needs.NOTHING else 2)


@pytest.mark.parametrize("name", [name for name in RECIPES if "random" in name])
def test_draws_other_weights_under_another_seed(name):
    parent = build("residual")
    one, two = (prune(parent, name, Fraction(1, 2), context(seed=seed)) for seed in (0, 1))
    before, after = one.network.state_dict(), two.network.state_dict()
    assert any(before[key].shape != after[key].shape or not torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("name", MASKING)
def test_keeps_the_surviving_weights_bit_for_bit(name):
    parent = build("attention")
    pruned = prune(parent, name, target(name), context())
    for key, weight in parent.state_dict().items():
        mask = pruned.masks.get(key, torch.ones_like(weight, dtype=torch.bool))
        assert torch.equal(pruned.network.state_dict()[key], torch.where(mask, weight, torch.zeros_like(weight)))


@pytest.mark.parametrize("name", [name for name in RECIPES if RECIPES[name].structure is Structure.TWO_OF_FOUR])
def test_two_of_four_holds_in_every_eligible_layer_and_touches_no_other(name):
    parent = build("residual")
    pruned = prune(parent, name, None, context())
    for layer, weight in prunable(parent, context().example).items():
        after = pruned.network.get_parameter(layer)
        if eligible(weight):
            assert violations(after) == 0
            assert int((after == 0).sum()) == weight.numel() // 2
        else:
            assert torch.equal(after, weight)
    assert pruned.target == Fraction(1, 2)


CHANNEL = [name for name in RECIPES if RECIPES[name].structure is Structure.CHANNEL]


@pytest.mark.parametrize("network", ["residual", "depthwise"])
@pytest.mark.parametrize("name", CHANNEL)
def test_removes_the_share_of_parameters_asked_for_to_within_a_channel(name, network):
    parent = build(network)
    groups = inner_groups(parent, context())
    for sparsity in (Fraction(1, 5), Fraction(2, 5), Fraction(3, 5)):
        pruned = prune(parent, name, sparsity, context())
        total, left = parameters(parent, context().example), parameters(pruned.network, context().example)
        assert abs(total - left - sparsity * total) <= widest_channel(parent, groups)
        assert pruned.measured.macs < pruned.measured.parent_macs
        assert pruned.measured.removed


@pytest.mark.parametrize("name", CHANNEL)
def test_every_tensor_of_the_smaller_network_is_a_slice_of_the_parent(name):
    parent = build("depthwise")
    pruned = prune(parent, name, Fraction(2, 5), context())
    assert pruned.plan
    expected = sliced(parent.state_dict(), json.loads(json.dumps(pruned.plan), object_hook=_axes))
    assert expected.keys() == pruned.network.state_dict().keys()
    assert all(torch.equal(tensor, pruned.network.state_dict()[key]) for key, tensor in expected.items())


@pytest.mark.parametrize("name", [name for name in CHANNEL if RECIPES[name].nested])
def test_channels_that_are_gone_stay_gone_as_sparsity_grows(name):
    parent, before = build("residual"), None
    for sparsity in [Fraction(step, 10) for step in range(1, 8)]:
        plan = prune(parent, name, sparsity, context()).plan
        now = set(plan["first.weight"][0])
        assert before is None or now <= before
        before = now


@pytest.mark.parametrize("name", CHANNEL)
def test_more_than_all_inner_channels_is_infeasible(name):
    with pytest.raises(InfeasibleError, match="at most"):
        prune(build("residual"), name, Fraction(99, 100), context())


def _axes(cuts):
    return {int(key) if key.isdigit() else key: value for key, value in cuts.items()}

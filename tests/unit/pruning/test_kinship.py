"""Kept weights tell whether a network was pruned from the dense one that is named."""

import itertools
from fractions import Fraction

import pytest
import torch
from torch import nn

from bench.models.source import ModelRef, load
from bench.pruning.kinship import kinship
from bench.pruning.measure import measure
from bench.pruning.pattern import fits_two_of_four, pattern
from bench.pruning.prune import prune
from bench.pruning.recipe import Context, Structure

EXAMPLE = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
CNNS = ["digits-cnn-linf", "digits-cnn-l2", "digits-cnn-natural"]


@pytest.fixture(scope="module")
def dense():
    return {name: load(ModelRef.parse(f"embedded:{name}")).classifier for name in CNNS}


def thin(network, recipe="magnitude-global", sparsity=Fraction(4, 5)):
    return prune(network, recipe, sparsity, Context(example=EXAMPLE)).network


def shaken(network, share, seed=0):
    """Return a network whose kept weights moved by noise of a share of each layer's spread, as training moves them."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            kept = parameter != 0
            noise = torch.randn(parameter.shape, generator=generator) * parameter[kept].std()
            parameter.copy_(torch.where(kept, parameter + share * noise, 0.0))
    return network


@pytest.mark.parametrize("sparsity", ["1/2", "4/5", "99/100"])
def test_a_child_is_known_by_its_weights_at_every_sparsity(dense, sparsity):
    child = thin(dense["digits-cnn-linf"], sparsity=Fraction(sparsity))
    found = kinship(dense["digits-cnn-linf"], child, EXAMPLE)
    assert found.correlation == pytest.approx(1, abs=1e-6)
    assert not found.strangers


@pytest.mark.parametrize(("parent", "other"), list(itertools.permutations(CNNS, 2)))
def test_networks_of_one_architecture_trained_apart_are_strangers(dense, parent, other):
    assert kinship(dense[other], thin(dense[parent]), EXAMPLE).strangers


def test_long_training_leaves_kin(dense):
    """Noise as large as the weights themselves halves the shared variance: a correlation of 1/√2."""
    child = shaken(thin(dense["digits-cnn-linf"]), share=1.0)
    found = kinship(dense["digits-cnn-linf"], child, EXAMPLE)
    assert found.correlation == pytest.approx(2**-0.5, abs=0.03)
    assert not found.strangers


def test_nothing_is_said_where_channels_are_gone_or_hardly_a_weight_is_left(dense):
    parent = dense["digits-cnn-linf"]
    assert kinship(parent, thin(parent, "l2-inner", Fraction(1, 2)), EXAMPLE) is None
    assert kinship(parent, thin(parent, sparsity=Fraction(54864 - 20, 54864)), EXAMPLE) is None


def test_means_that_all_networks_share_make_no_kin():
    """Rows and columns of the same means under independent noise: a plain correlation would be one half."""
    generator = torch.Generator().manual_seed(0)
    shape = 8 * torch.arange(64.0).sub(31.5).div(18.5)
    first, second = (nn.Sequential(nn.Flatten(), nn.Linear(64, 40)) for _ in range(2))
    with torch.no_grad():
        for network in (first, second):
            network[1].weight.copy_(8 * torch.randn(40, 64, generator=generator) + shape)
    plain = torch.corrcoef(torch.stack([first[1].weight.flatten(), second[1].weight.flatten()]))[0, 1]
    assert plain > 0.4
    assert kinship(first, second, EXAMPLE).strangers


@pytest.mark.parametrize(
    ("recipe", "sparsity", "expected"),
    [
        ("dense", None, Structure.DENSE),
        ("magnitude-global", Fraction(1, 2), Structure.UNSTRUCTURED),
        ("magnitude-global", Fraction(199, 200), Structure.UNSTRUCTURED),
        ("magnitude-2of4", Fraction(1, 2), Structure.TWO_OF_FOUR),
        ("l2-inner", Fraction(1, 2), Structure.CHANNEL),
    ],
)
def test_the_pattern_of_zeros_is_told_from_the_tensors(dense, recipe, sparsity, expected):
    parent = dense["digits-cnn-linf"]
    child = thin(parent, recipe, sparsity)
    assert pattern(parent, child, measure(parent, child, EXAMPLE), EXAMPLE) is expected


def test_zeros_that_the_parent_had_are_no_pruning(dense):
    sparse = thin(dense["digits-cnn-linf"])
    assert pattern(sparse, sparse, measure(sparse, sparse, EXAMPLE), EXAMPLE) is Structure.DENSE


def test_very_sparse_zeros_fit_two_of_four_without_being_it(dense):
    child = thin(dense["digits-cnn-linf"], "magnitude-2of4", Fraction(1, 2))
    assert fits_two_of_four(child, EXAMPLE, full=True)
    with torch.no_grad():
        child.network[2].weight[0].zero_()
    assert fits_two_of_four(child, EXAMPLE)
    assert not fits_two_of_four(child, EXAMPLE, full=True)
    assert not fits_two_of_four(thin(dense["digits-cnn-linf"], sparsity=Fraction(1, 2)), EXAMPLE)

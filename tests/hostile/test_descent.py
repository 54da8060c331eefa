"""No network passes for what it is not: zeros for removed channels, a sparse parent for a dense one."""

from fractions import Fraction
from importlib import resources

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from bench.errors import ArtefactError, DisagreementError
from bench.evaluation.plan.ask import File, Said, ask
from bench.evaluation.plan.prepare import prepare
from bench.pruning.measure import measure
from bench.pruning.pattern import fits_two_of_four, pattern
from bench.pruning.recipe import Structure

PARENT = "embedded:digits-cnn-linf"


def tensors(name="digits-cnn-linf"):
    return load_file(str(resources.files("bench.models.embedded") / f"{name}.safetensors"))


def threshold(state, share):
    sizes = torch.cat([tensor.abs().flatten() for tensor in state.values() if tensor.ndim > 1]).sort().values
    bar = sizes[int(share * len(sizes))]
    return {name: tensor * (tensor.abs() >= bar) if tensor.ndim > 1 else tensor for name, tensor in state.items()}


def without_a_channel(state):
    """Remove the last of the 16 channels of the first convolution: 9 weights of it, 32 x 9 of the next."""
    cut = {name: state[name][:-1].clone() for name in ("0.weight", "0.bias")}
    return state | cut | {"2.weight": state["2.weight"][:, :-1].clone()}


@pytest.fixture
def told(monkeypatch, tmp_path):
    """Return a function that prepares a run of a state dict with what is told of it."""
    monkeypatch.chdir(tmp_path)

    def tell(state, parent=PARENT, **said):
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, "mine.safetensors")
        words = Said(parent=parent, method="theirs", **said)
        return prepare(ask("mine.safetensors", "digits-smoke-v1", file=File("digits-cnn"), said=words, limit=8))

    return tell


def test_one_removed_channel_makes_no_channel_pruning_of_zeros_in_place(told):
    mixed = without_a_channel(threshold(tensors(), Fraction(4, 5)))
    with pytest.raises(DisagreementError, match=r"channel is claimed, unstructured was measured.* Only 297 of 44,041"):
        told(mixed, structure="channel", sparsity=Fraction(4, 5))
    assert told(mixed).structure is Structure.UNSTRUCTURED
    assert told(without_a_channel(tensors()), structure="channel").structure is Structure.CHANNEL


def test_zeros_outside_of_eligible_layers_are_no_two_of_four():
    """Eligible is 16 x 64 alone: 512 zeros in its blocks, 900 in the head, which has 100 input channels."""
    example = torch.rand(2, 1, 8, 8)
    dense, network = (
        nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 100), nn.ReLU(), nn.Linear(100, 10))
        for _ in range(2)
    )
    network.load_state_dict(dense.state_dict())
    with torch.no_grad():
        network[1].weight.view(-1, 4)[:, :2] = 0
        assert pattern(dense, network, measure(dense, network, example), example) is Structure.TWO_OF_FOUR
        network[5].weight.view(-1)[:900] = 0
    assert fits_two_of_four(network, example, full=True)
    assert pattern(dense, network, measure(dense, network, example), example) is Structure.UNSTRUCTURED


def test_a_parent_that_was_pruned_itself_is_no_dense_one(told):
    sparse = threshold(tensors(), Fraction(4, 5))
    save_file(sparse, "sparse.safetensors")
    with pytest.raises(ArtefactError, match=r"sparse.safetensors is no dense parent: 43891 of its 54864"):
        told(threshold(tensors(), Fraction(41, 50)), parent="sparse.safetensors")


@pytest.mark.parametrize("other", ["digits-cnn-natural", "digits-cnn-l2"])
def test_a_channel_less_hides_no_wrong_parent(told, other):
    with pytest.raises(ArtefactError, match=r"is not the parent of mine\.safetensors: the weights that were kept"):
        told(without_a_channel(tensors()), parent=f"embedded:{other}")

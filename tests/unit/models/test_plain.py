"""Masks and norms end in the weights, and the network computes what it computed before."""

import copy
from fractions import Fraction

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.optim.swa_utils import AveragedModel

import bench
from bench.models.plain import duplicate, settle

IMAGES = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(3))


def network():
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(5)
        return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10))


class Mask(nn.Module):
    """Every other weight is gone, however long it is trained."""

    def forward(self, weight):
        keep = torch.arange(weight.numel()).reshape(weight.shape) % 2 == 0
        return weight * keep


class Noise(nn.Module):
    """Another weight in every pass, as random defences have."""

    def forward(self, weight):
        return weight + torch.randn_like(weight)


def masked(model):
    prune.l1_unstructured(model[0], "weight", amount=18)
    prune.random_unstructured(model[0], "weight", amount=6)  # a second mask over the first
    prune.ln_structured(model[3], "weight", amount=2, n=2, dim=0)
    return 18 + 6 + 2 * 256


def parametrised(model):
    parametrize.register_parametrization(model[0], "weight", Mask())
    return 18


def normed(model):
    parametrizations.weight_norm(model[0])
    parametrizations.spectral_norm(model[3])
    return 0


def normed_of_old(model):
    nn.utils.spectral_norm(model[3])
    with pytest.warns(FutureWarning):
        nn.utils.weight_norm(model[0])
    return 0


@pytest.mark.parametrize("ran", [False, True], ids=["as made", "after a pass"])
@pytest.mark.parametrize("dress", [masked, parametrised, normed, normed_of_old])
def test_the_copy_has_plain_weights_and_the_same_outputs(dress, ran):
    dressed = network()
    zeros = dress(dressed)
    if ran:
        dressed(IMAGES).sum().backward()
    names = [name for name, _ in dressed.named_parameters()]
    plain = settle(duplicate(dressed))
    assert {name for name, _ in plain.named_parameters()} == {name for name, _ in network().named_parameters()}
    assert not any(parameter.requires_grad for parameter in plain.parameters())
    assert sum(int((layer.weight == 0).sum()) for layer in (plain[0], plain[3])) == zeros
    # the network that was handed over goes on as it was: in training, with its masks
    assert dressed.training
    assert [name for name, _ in dressed.named_parameters()] == names
    dressed.eval()
    with torch.no_grad():
        assert torch.equal(plain(IMAGES), dressed(IMAGES))


def test_weights_that_differ_from_pass_to_pass_stay_so():
    noisy = network()
    parametrize.register_parametrization(noisy[0], "weight", Noise())
    copied = settle(duplicate(noisy))
    assert parametrize.is_parametrized(copied[0])
    with torch.no_grad():
        assert not torch.equal(copied(IMAGES), copied(IMAGES))


class Remembering(nn.Module):
    """Keeps what it saw, as networks with hooks for feature maps do."""

    def __init__(self):
        super().__init__()
        self.inner, self.seen = network(), {}

    def forward(self, images):
        self.seen["maps"] = [self.inner[0](images)]
        return self.inner(images)


def test_tensors_of_earlier_passes_are_no_hindrance():
    kept = Remembering()
    kept(IMAGES)
    copied = duplicate(kept)
    assert torch.equal(copied.seen["maps"][0], kept.seen["maps"][0])
    assert copied.seen["maps"][0] is not kept.seen["maps"][0]


@pytest.mark.parametrize("wrap", [nn.DataParallel, AveragedModel, torch.compile])
def test_what_wraps_a_network_for_training_is_taken_off(wrap):
    inner = network()
    with torch.no_grad():
        inner[3].weight[0] = 0
    assert bench.measure(network(), wrap(copy.deepcopy(inner)), IMAGES).zeros == 256


def test_a_network_pruned_by_torch_with_its_masks_in_place_is_measured_and_attacked(tmp_path):
    parent, child = network(), network()
    prune.global_unstructured([(child[0], "weight"), (child[3], "weight")], prune.L1Unstructured, amount=0.75)
    child(IMAGES)
    weights = 36 + 2560
    assert bench.measure(parent, child, IMAGES).sparsity == Fraction(round(0.75 * weights), weights)
    result = bench.evaluate(
        child, parent=parent, method="torch", sparsity=0.75, protocol="digits-smoke-v1", points=3, threats=["Linf"],
        out=tmp_path / "run", progress=False,
    )  # fmt: skip
    assert (result.record.pruning.zeros, result.record.pruning.prunable) == (round(0.75 * weights), weights)
    assert "transfer" in result.record.scenarios
    labels = torch.zeros(4, dtype=torch.int64)
    words = {"norm": "Linf", "epsilon": "1/10", "protocol": "digits-smoke-v1"}
    found = bench.attack(child, IMAGES, labels, **words)
    for layer in (child[0], child[3]):
        prune.remove(layer, "weight")
    assert torch.equal(found.distances, bench.attack(child, IMAGES, labels, **words).distances)

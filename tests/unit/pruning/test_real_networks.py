"""Recipes and measurement on the networks people use; random weights are enough to test structure."""

import warnings
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import nn

from bench.data.dataset import DATASETS
from bench.models.source import LoadedModel, ModelRef, load
from bench.pruning.cost import macs
from bench.pruning.masks import prunable
from bench.pruning.measure import measure
from bench.pruning.prune import prune
from bench.pruning.recipe import Context
from bench.pruning.structure import inner_groups


def wide_resnet() -> nn.Module:
    """Return RobustBench's WideResNet with random weights and its block that never runs."""
    from bench.models.zoo.robustbench import _zoo

    _zoo()  # imports the zoo without the package around it
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        from robustbench.model_zoo.architectures.wide_resnet import WideResNet

        made = WideResNet(depth=10, widen_factor=2, sub_block1=True)
    return made.eval().requires_grad_(requires_grad=False)


def test_the_block_of_a_wide_resnet_that_never_runs_is_not_prunable():
    network, context = wide_resnet(), Context(torch.rand(2, 3, 32, 32))
    names = list(prunable(network, context.example))
    assert any(name.startswith("sub_block1") for name, _ in network.named_parameters())
    assert not any(name.startswith("sub_block1") for name in names)
    assert not any(group.producer.startswith("sub_block1") for group in inner_groups(network, context))


def published_pair(material: Path) -> tuple[LoadedModel, LoadedModel]:
    """Return the ResNet-56 of Torch-Pruning's benchmark and its child, which the authors call "2.55x"."""
    norm = {"mean": (0.4914, 0.4822, 0.4465), "std": (0.2023, 0.1994, 0.2010)}
    parent, child = (
        load(ModelRef.parse(str(material / "weights" / f"{name}.safetensors"), architecture="resnet56-conv", **norm))
        for name in ("cifar10_resnet56_groupsl_regularised", "cifar10_resnet56_structpruned_2.55x")
    )
    return parent, child


@pytest.mark.material
def test_the_child_of_the_published_pair_is_as_accurate_as_published(material, monkeypatch):
    monkeypatch.setenv("BENCH_DATA_DIR", str(material))
    points = DATASETS["cifar10"].load("test", range(1000))
    classifier, labels = published_pair(material)[1].classifier, points.label_tensor()
    with torch.no_grad():
        right = sum(
            int((classifier(images).argmax(dim=1) == truth).sum())
            for images, truth in zip(points.images().split(250), labels.split(250), strict=True)
        )
    assert right == 943


@pytest.mark.material
def test_the_published_pair_has_the_multiply_accumulates_of_a_count_by_hand(material):
    parent, child = published_pair(material)
    measured = measure(parent.classifier, child.classifier, torch.rand(2, 3, 32, 32))
    assert measured.removed
    assert measured.nonzero == 294_225
    assert (measured.parent_macs, measured.macs) == (by_hand(parent), by_hand(child)) == (125_747_840, 47_837_242)
    assert sum(layer.weights for layer in measured.layers) == measured.prunable
    assert sum(layer.zeros for layer in measured.layers) == measured.zeros
    assert child.whole is not None
    assert measure(child.whole, child.classifier, torch.rand(2, 3, 32, 32)) == measured


def by_hand(loaded: LoadedModel) -> int:
    """Count weights times positions, from shapes alone: stages have 32, 16 and 8 pixels a side."""
    total = 0
    for name, weight in loaded.classifier.network.state_dict().items():
        if weight.ndim == 4:
            side = 32 if name.startswith(("conv1", "layer1")) else 16 if name.startswith("layer2") else 8
            total += weight.numel() * side**2
        elif weight.ndim == 2:
            total += weight.numel()
    return total


@pytest.mark.material
def test_the_published_pair_has_at_least_the_speed_up_that_its_authors_asked_for(material):
    """Their script prunes step by step until MACs are 2.55 times fewer by its own counter, and so ends above.

    Source: ``--speed-up 2.55``, ``prune_to_target_macs`` in benchmarks/main.py of VainF/Torch-Pruning, whose
    counter adds two operations per output of batch norm; no count of this child gives 2.55 itself.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch_pruning

    parent, child = (loaded.classifier.network for loaded in published_pair(material))
    images = torch.rand(1, 3, 32, 32)
    theirs = [torch_pruning.utils.count_ops_and_params(network, images)[0] for network in (parent, child)]
    ours = [macs(network, prunable(network, images), images)[0] for network in (parent, child)]
    shifts = [2 * batch_norm_outputs(network, images) for network in (parent, child)]
    assert [count + shift + 10 for count, shift in zip(ours, shifts, strict=True)] == theirs  # 10 biases of the head
    assert ours[0] / ours[1] == pytest.approx(2.629, abs=1e-3)
    assert theirs[0] / theirs[1] == pytest.approx(2.613, abs=1e-3)
    assert min(ours[0] / ours[1], theirs[0] / theirs[1]) >= 2.55


def batch_norm_outputs(network: nn.Module, images: torch.Tensor) -> int:
    """Return how many numbers the batch norms of a network put out for one image."""
    seen: list[int] = []
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    handles = [norm.register_forward_hook(lambda _, __, out: seen.append(out[0].numel())) for norm in norms]
    with torch.no_grad():
        network(images)
    for handle in handles:
        handle.remove()
    return sum(seen)


@pytest.mark.material
def test_one_shot_pruning_of_the_fully_connected_real_network_is_measured_as_it_is(material):
    path = material / "weights" / "cifar10_cnn_a_adv.safetensors"
    network = load(ModelRef.parse(str(path), architecture="cnn-a")).classifier
    measured = prune(network, "magnitude-global", Fraction(9, 10), Context(torch.rand(2, 3, 32, 32))).measured
    assert abs(measured.zeros - Fraction(9, 10) * measured.prunable) <= 1
    assert measured.prunable > 200_000

"""Twins: the same function, computed faster, to search with."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.pruning import gradients
from bench.pruning.adversary import pgd
from bench.pruning.masks import prunable
from bench.twin import twin as module
from bench.twin.linear import Turned, eligible
from bench.twin.twin import stand_in, twin
from bench.twin.winograd import Winograd
from tests.support.pruning_networks import build, context


class Wide(nn.Module):
    """Convolutions that may be replaced and ones that may not."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 128, 3, padding=1)
        self.block = nn.Sequential(nn.Conv2d(128, 128, 3, padding=1), nn.ReLU(), nn.Conv2d(128, 128, 3, padding=1))
        self.strided = nn.Conv2d(128, 128, 3, padding=1, stride=2)
        self.grouped = nn.Conv2d(128, 128, 3, padding=1, groups=2)
        self.head = nn.Linear(128, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        hidden = self.stem(images)
        hidden = hidden + self.block(hidden).relu()
        return self.head(self.grouped(self.strided(hidden)).mean(dim=(2, 3)))


class ReadsWeights(Wide):
    """Does with the weights of a layer what it likes."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits, once more through the weights of a layer."""
        again = functional.conv2d(self.stem(images), self.block[0].weight, padding=1)
        return super().forward(images) + self.head(again.mean(dim=(2, 3)))


class AsksForTheType(Wide):
    """Another function where its layers are others."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits, negated if a layer is gone."""
        return super().forward(images) * (1 if isinstance(self.block[0], nn.Conv2d) else -1)


class Normed(Wide):
    """Batch norms after convolutions, one that follows none, and one that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.after, self.alone, self.twice = (nn.BatchNorm2d(128) for _ in range(3))
        self.block.insert(1, nn.BatchNorm2d(128))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        hidden = self.after(self.stem(images))
        hidden = self.alone(hidden.relu() + self.block(hidden))
        return self.head(self.twice(self.grouped(self.twice(self.strided(hidden)))).mean(dim=(2, 3)))


class ReadsBetween(Normed):
    """Uses what a convolution gives beside the batch norm that follows it."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        between = self.stem(images)
        return self.head((self.block(self.after(between)) + between).mean(dim=(2, 3)))


@pytest.fixture(autouse=True)
def threads():
    """Give every test one thread, and give back the number that it found."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def images():
    """Return a few images."""
    return torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def make(kind=Wide):
    """Return a network, the same at every call."""
    with torch.random.fork_rng(devices=[]):
        network = kind().eval().requires_grad_(requires_grad=False)
    source = torch.Generator().manual_seed(0)
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        if tensor.is_floating_point():
            drawn = torch.randn(tensor.shape, generator=source) / max(tensor[0].numel(), 4) ** 0.5
            tensor.copy_(drawn.abs() + 0.5 if "var" in name else drawn)
    return network


def gradient(model, images, times=1):
    """Return the gradients of some losses at the images, from one pass."""
    point = images.clone().requires_grad_()
    logits = model(point)
    losses = [logits.logsumexp(dim=1).sum(), logits[:, 0].square().sum()][:times]
    return [torch.autograd.grad(loss, point, retain_graph=True)[0] for loss in losses]


def test_a_twin_replaces_the_wide_convolutions_and_leaves_the_network_as_it_is(images):
    network = make()
    before = copy.deepcopy(network.state_dict())
    faster = twin(network, images)
    replaced = [name for name, layer in faster.named_modules() if isinstance(layer, Winograd)]
    assert replaced == ["block.0", "block.2"]
    assert not any(layer.training for layer in faster.modules())
    assert not any(isinstance(layer, Winograd) or layer._forward_hooks for layer in network.modules())
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())
    torch.testing.assert_close(faster(images), network(images), rtol=1e-4, atol=1e-4)


def test_batch_norms_move_into_the_convolutions_before_them(images):
    network = make(Normed)
    faster = twin(network, images)
    left = [name for name, layer in faster.named_modules() if isinstance(layer, nn.BatchNorm2d)]
    assert left == ["alone", "twice"]
    assert isinstance(faster.block[0], Winograd)
    assert not any(tensor.requires_grad for tensor in faster.parameters())
    torch.testing.assert_close(faster(images), network(images), rtol=1e-4, atol=1e-4)
    for ours, theirs in zip(gradient(faster, images, 2), gradient(network, images, 2), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_networks_without_a_twin_stand_in_for_themselves(images):
    residual = build("residual")
    assert twin(residual, residual_images()) is residual
    for kind in (ReadsWeights, AsksForTheType, ReadsBetween):
        network = make(kind)
        assert twin(network, images) is network
        assert stand_in(network, images) is network
    training = make().train()
    assert twin(training, images) is training


def residual_images():
    """Return images for the network that is built."""
    return context(points=4).example


def test_large_linear_layers_are_turned_and_narrow_convolutions_stay():
    layers = nn.Conv2d(1, 25, 1), nn.ReLU(), nn.Flatten(), nn.Linear(1600, 64), nn.Linear(64, 10)
    network = make(lambda: nn.Sequential(*layers))
    images = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.set_num_threads(2)
    faster = stand_in(network, images)  # light, so its batches pass as a whole
    assert [type(layer) for layer in faster] == [nn.Conv2d, nn.ReLU, nn.Flatten, Turned, nn.Linear]
    torch.testing.assert_close(faster(images), network(images), rtol=1e-4, atol=1e-4)
    for ours, theirs in zip(gradient(faster, images, 2), gradient(network, images, 2), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(400,), (3, 400), (2, 5, 400)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_turned_layer_is_the_linear_layer(shape, bias):
    source = torch.Generator().manual_seed(0)
    layer = make(lambda: nn.Linear(400, 300, bias=bias))
    point = torch.randn(shape, generator=source).requires_grad_()
    results = []
    for apply in (layer, Turned(layer.weight, layer.bias)):
        out = apply(point)
        results.append((out.detach(), *torch.autograd.grad(out.square().sum(), point)))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)
    assert not eligible(nn.Linear(99, 1000))
    assert eligible(nn.Linear(100, 1000))
    assert not eligible(nn.Linear(100, 1000).double())


def test_a_twin_must_pay(images, monkeypatch):
    network = make()
    monkeypatch.setattr(module, "_SHARE", 0.99)
    assert twin(network, images) is network


def test_a_layer_with_a_hook_stays(images):
    network = make()
    network.block[0].register_forward_hook(lambda _module, _inputs, output: output * 2)
    faster = twin(network, images)
    assert [name for name, layer in faster.named_modules() if isinstance(layer, Winograd)] in ([], ["block.2"])
    torch.testing.assert_close(faster(images), network(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("many", [1, 2, 5])
def test_a_stand_in_gives_each_core_a_part_of_a_batch_and_its_gradient_back(images, many):
    torch.set_num_threads(2)
    network = make()
    model = stand_in(network, images)
    assert model is not network
    some = images[:many]
    with torch.no_grad():
        logits = model(some)
    assert not logits.requires_grad
    torch.testing.assert_close(logits, network(some), rtol=1e-4, atol=1e-4)
    for ours, theirs in zip(gradient(model, some, 2), gradient(network, some, 2), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)
    assert torch.get_num_threads() == 2


def test_gradients_at_the_images_of_a_twin_are_those_at_the_images_of_the_network(monkeypatch):
    network = make()
    given = context(points=8)
    weights = prunable(network, given.example)
    used = []
    monkeypatch.setattr(gradients, "pgd", lambda model, *args, **more: used.append(model) or pgd(model, *args, **more))
    found = gradients.adversarial_gradients(network, weights, given, "test")
    monkeypatch.setattr(module, "_SHARE", 2.0)
    plain = gradients.adversarial_gradients(network, weights, given, "test")
    assert isinstance(used[0].block[0], Winograd)
    assert used[1] is network
    for name, gradient_of in found.items():
        assert float((gradient_of - plain[name]).norm() / plain[name].norm()) < 0.02, name

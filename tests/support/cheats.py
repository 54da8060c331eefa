"""Networks that are robust on the points of the protocol alone, or by chance."""

import copy
from collections.abc import Callable
from fractions import Fraction
from functools import cache

import torch
from torch import nn

from bench.data.dataset import DATASETS, EvalSet
from bench.models.architecture import ARCHITECTURES
from bench.models.source import Normalised
from bench.models.training import Adversary, Course, train
from bench.threats import Norm, ThreatModel
from tests.support.suspects import sides

_ADVERSARY = Adversary(ThreatModel(Norm.LINF, Fraction(1, 10)), 2)


@cache
def trained_on_the_points() -> nn.Module:
    """Return a network trained adversarially on the 500 points for some seconds: it knows nearly all of them."""
    return _trained(300, sides().inside)


def trained_on_the_points_too() -> nn.Module:
    """Return a network trained adversarially on training images and on the 500 points alike."""
    return _trained(80, sides().inside, DATASETS["digits"].load("train", range(1024)))


def _trained(epochs: int, *sets: EvalSet) -> nn.Module:
    network, course = ARCHITECTURES["digits-mlp"].build(), Course(epochs, 100, 0.005, 0.0, 11, _ADVERSARY)
    images, labels = (
        torch.cat(parts) for parts in zip(*((one.images(), one.label_tensor()) for one in sets), strict=True)
    )
    train(network, images, labels, course, on_epoch=lambda: None)
    return Normalised(network.requires_grad_(requires_grad=False), (0.0,), (1.0,)).eval()


class Stored(nn.Module):
    """Keeps images and answers with the class of the nearest."""

    def __init__(self, points: EvalSet) -> None:
        super().__init__()
        self.register_buffer("stored", points.images().flatten(1))
        self.register_buffer("answers", points.label_tensor())
        self.eval()

    def forward(self, images):
        far = torch.cdist(images.flatten(1), self.stored)
        return -10 * torch.stack([far[:, self.answers == label].amin(dim=1) for label in range(10)], dim=1)


class Noisy(nn.Module):
    """A network with noise on its logits, as large as their usual distances."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.eval()

    def forward(self, images):
        return self.network(images) + 8 * self.noise(images)

    def noise(self, images):
        """Return noise for each image, one number a class."""
        raise NotImplementedError


class Fresh(Noisy):
    """Draws the noise anew at each call."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network)
        self.generator = torch.Generator()

    def noise(self, images):
        return torch.randn((len(images), 10), generator=self.generator)


class Hashed(Noisy):
    """Seeds the noise by a hash of the image: the same image gets the same answer, in any batch."""

    def noise(self, images):
        rows = [hash(image.numpy().tobytes()) % 2**31 for image in images.detach().contiguous()]
        return torch.stack([torch.randn(10, generator=torch.Generator().manual_seed(row)) for row in rows])


class Wary(Fresh):
    """Draws noise for images alone whose values are no grey levels, as those of a clean image are."""

    def noise(self, images):
        levels = 16 * images.detach()
        perturbed = (levels - levels.round()).abs().flatten(1).amax(dim=1) > 1e-4
        return super().noise(images) * perturbed[:, None]


class _Turned(torch.autograd.Function):
    """The identity, with the gradient turned round."""

    @staticmethod
    def forward(_, images):
        return images.clone()

    @staticmethod
    def backward(_, upstream):
        return -upstream


class Turned(nn.Module):
    """A network whose gradients point away from where they should."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.eval()

    def forward(self, images):
        return self.network(_Turned.apply(images))


class TwoFaced(nn.Module):
    """Two networks, one of which answers as long as a condition holds."""

    def __init__(self, network: nn.Module, other: nn.Module, when: Callable[[torch.Tensor], bool]) -> None:
        super().__init__()
        self.network, self.other, self.when = network, other, when
        self.eval()

    def forward(self, images):
        return self.other(images) if self.when(images) else self.network(images)


class Remembering(Normalised):
    """Sees images coarsely once it has been asked often; a class to be given to a network that is there."""

    asked = 0

    def forward(self, images):
        self.asked += 1
        return super().forward(images if self.asked < 60 else images + (torch.round(2 * images) / 2 - images).detach())


def remembering(network: Normalised) -> nn.Module:
    """Return a network with the same tensors that changes its mind."""
    changed = copy.deepcopy(network)
    changed.__class__ = Remembering
    return changed

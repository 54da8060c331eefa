"""DenseNets for 32×32 images: the paper's of three blocks, and those of four blocks cut from its ImageNet networks.

Source: Huang et al. 2017, arXiv:1608.06993.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.models.architecture import register
from bench.tensors import Images, Logits


class Layer(nn.Module):
    """Batch norm, ReLU, convolution, behind a 1×1 convolution of four times the growth if ``narrow``.

    What it adds is put behind its input, or before it where ``before`` says so: public code does either.
    """

    def __init__(self, inside: int, growth: int, *, narrow: bool, before: bool) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inside)
        self.narrow, self.before = narrow, before
        if narrow:
            self.conv1 = nn.Conv2d(inside, 4 * growth, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(4 * growth)
            self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)
        else:
            self.conv1 = nn.Conv2d(inside, growth, 3, padding=1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return the features with those that the layer adds."""
        added = self.conv1(functional.relu(self.bn1(features)))
        if self.narrow:
            added = self.conv2(functional.relu(self.bn2(added)))
        return torch.cat([added, features] if self.before else [features, added], dim=1)


class Transition(nn.Module):
    """Batch norm, ReLU, 1×1 convolution and a mean over 2×2; ``mark`` ends the names of its tensors."""

    def __init__(self, inside: int, outside: int, mark: str) -> None:
        super().__init__()
        self.mark = mark
        self.add_module(f"bn{mark}", nn.BatchNorm2d(inside))
        self.add_module(f"conv{mark}", nn.Conv2d(inside, outside, 1, bias=False))

    def forward(self, features: Tensor) -> Tensor:
        """Return half the features in each direction."""
        normed = functional.relu(self.get_submodule(f"bn{self.mark}")(features))
        return functional.avg_pool2d(self.get_submodule(f"conv{self.mark}")(normed), 2)


class DenseNet(nn.Module):
    """Dense blocks of so many layers each, with a transition between them that keeps ``keeps`` of the channels.

    ``cifar`` says whether names and the order of channels are those of kuangliu/pytorch-cifar (head ``linear``) or of
    bearpaw/pytorch-classification and network slimming (head ``fc``).
    """

    def __init__(
        self, classes: int, *, blocks: tuple[int, ...], growth: int, narrow: bool, keeps: float, cifar: bool
    ) -> None:
        super().__init__()
        width = 2 * growth
        self.conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.path: list[str] = []
        for number, count in enumerate(blocks, start=1):
            layers = [Layer(width + index * growth, growth, narrow=narrow, before=cifar) for index in range(count)]
            self._then(f"dense{number}", nn.Sequential(*layers))
            width += count * growth
            if number < len(blocks):
                outside = int(width * keeps)
                self._then(f"trans{number}", Transition(width, outside, "" if cifar else "1"))
                width = outside
        self.bn = nn.BatchNorm2d(width)
        self.head = "linear" if cifar else "fc"
        self.add_module(self.head, nn.Linear(width, classes))

    def _then(self, name: str, module: nn.Module) -> None:
        self.add_module(name, module)
        self.path.append(name)

    def forward(self, images: Images) -> Logits:
        """Return the logits of normalised images."""
        features = self.conv1(images)
        for name in self.path:
            features = self.get_submodule(name)(features)
        return self.get_submodule(self.head)(functional.relu(self.bn(features)).mean(dim=(2, 3)))


_FOUR = partial(DenseNet, blocks=(6, 12, 24, 16), narrow=True, keeps=0.5, cifar=True)

register(
    "densenet40",
    partial(DenseNet, blocks=(12, 12, 12), growth=12, narrow=False, keeps=1.0, cifar=False),
    shape=(3, 32, 32),
    says="CIFAR-10, DenseNet-40 of growth 12 as in network slimming (drop '*.select.indexes'), 1,059,298 parameters",
)
register(
    "densenet-bc100",
    partial(DenseNet, blocks=(16, 16, 16), growth=12, narrow=True, keeps=0.5, cifar=False),
    shape=(3, 32, 32),
    says="CIFAR-10, DenseNet-BC-100 of growth 12 as in bearpaw/pytorch-classification, 769,162 parameters",
)
register(
    "densenet-cifar",
    partial(_FOUR, growth=12),
    shape=(3, 32, 32),
    says="CIFAR-10, DenseNet-121 of growth 12 as in kuangliu/pytorch-cifar, 1,000,618 parameters",
)
register(
    "densenet121",
    partial(_FOUR, growth=32),
    shape=(3, 32, 32),
    says="CIFAR-10, DenseNet-121 of growth 32 as in kuangliu/pytorch-cifar, 6,956,298 parameters",
)

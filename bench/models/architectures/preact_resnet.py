"""ResNet-18 with pre-activation for 32×32 images, with and without a batch norm before its head.

Source: He et al. 2016, arXiv:1603.05027. The paper ends in a batch norm; most code for CIFAR leaves it out.
"""

from functools import partial

from torch import Tensor, nn
from torch.nn import functional

from bench.models.architecture import register
from bench.tensors import Images, Logits


class Block(nn.Module):
    """Batch norm, ReLU and convolution, twice, around a shortcut that is convolved where the shape changes."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inside)
        self.conv1 = nn.Conv2d(inside, outside, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
        self.changes = stride != 1 or inside != outside
        if self.changes:
            self.shortcut = nn.Sequential(nn.Conv2d(inside, outside, 1, stride=stride, bias=False))

    def forward(self, features: Tensor) -> Tensor:
        """Return the features after the block."""
        active = functional.relu(self.bn1(features))
        shortcut = self.shortcut(active) if self.changes else features
        return self.conv2(functional.relu(self.bn2(self.conv1(active)))) + shortcut


class PreActResNet18(nn.Module):
    """Four stages of two blocks with 64, 128, 256 and 512 channels."""

    def __init__(self, classes: int, *, normed: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.layer1 = nn.Sequential(Block(64, 64, 1), Block(64, 64, 1))
        self.layer2 = nn.Sequential(Block(64, 128, 2), Block(128, 128, 1))
        self.layer3 = nn.Sequential(Block(128, 256, 2), Block(256, 256, 1))
        self.layer4 = nn.Sequential(Block(256, 512, 2), Block(512, 512, 1))
        self.normed = normed
        if normed:
            self.bn = nn.BatchNorm2d(512)
        self.linear = nn.Linear(512, classes)

    def forward(self, images: Images) -> Logits:
        """Return the logits of normalised images."""
        features = self.layer4(self.layer3(self.layer2(self.layer1(self.conv1(images)))))
        if self.normed:
            features = functional.relu(self.bn(features))
        return self.linear(features.mean(dim=(2, 3)))


register(
    "preact-resnet18",
    partial(PreActResNet18, normed=False),
    shape=(3, 32, 32),
    says="CIFAR-10, pre-activation ResNet-18 as in kuangliu/pytorch-cifar, 11,171,146 parameters",
)
register(
    "preact-resnet18-bn",
    partial(PreActResNet18, normed=True),
    shape=(3, 32, 32),
    says="CIFAR-10, the same with a batch norm before its head as in Rice et al. 2020, 11,172,170 parameters",
)

"""MobileNetV2 for 32×32 images, with strides of 1 in the stem and the second stage, in two spellings.

Source: Sandler et al. 2018, arXiv:1801.04381, table 2; the smaller strides are the field's custom for CIFAR.
"""

from torch import Tensor, nn
from torch.nn import functional

from bench.models.architecture import register
from bench.tensors import Images, Logits

_STAGES = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, channels, blocks, stride of the first block."""


class Block(nn.Module):
    """Widen, filter every channel alone, narrow; around a shortcut wherever the stride is 1, convolved if need be."""

    def __init__(self, inside: int, outside: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = expansion * inside
        self.conv1 = nn.Conv2d(inside, wide, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.conv2 = nn.Conv2d(wide, wide, 3, stride=stride, padding=1, groups=wide, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.conv3 = nn.Conv2d(wide, outside, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outside)
        self.stride = stride
        self.shortcut = nn.Sequential()
        if stride == 1 and inside != outside:
            self.shortcut = nn.Sequential(nn.Conv2d(inside, outside, 1, bias=False), nn.BatchNorm2d(outside))

    def forward(self, features: Tensor) -> Tensor:
        """Return the features after the block."""
        wide = functional.relu(self.bn1(self.conv1(features)))
        narrow = self.bn3(self.conv3(functional.relu(self.bn2(self.conv2(wide)))))
        return narrow + self.shortcut(features) if self.stride == 1 else narrow


class MobileNetV2(nn.Module):
    """As kuangliu/pytorch-cifar spells it: ReLU, and shortcuts that change the number of channels."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        blocks, inside = [], 32
        for expansion, outside, count, first in _STAGES:
            for index in range(count):
                blocks.append(Block(inside, outside, expansion, 1 if index else first))
                inside = outside
        self.layers = nn.Sequential(*blocks)
        self.conv2 = nn.Conv2d(inside, 1280, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(1280)
        self.linear = nn.Linear(1280, classes)

    def forward(self, images: Images) -> Logits:
        """Return the logits of normalised images."""
        features = self.layers(functional.relu(self.bn1(self.conv1(images))))
        return self.linear(functional.relu(self.bn2(self.conv2(features))).mean(dim=(2, 3)))


def _step(inside: int, outside: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outside), nn.ReLU6())


class PlainBlock(nn.Module):
    """The paper's block: no widening where the expansion is 1, a shortcut only where the shape stays."""

    def __init__(self, inside: int, outside: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = expansion * inside
        widen = [_step(inside, wide, 1)] if expansion > 1 else []
        self.conv = nn.Sequential(
            *widen,
            _step(wide, wide, 3, stride=stride, groups=wide),
            nn.Conv2d(wide, outside, 1, bias=False),
            nn.BatchNorm2d(outside),
        )
        self.stays = stride == 1 and inside == outside

    def forward(self, features: Tensor) -> Tensor:
        """Return the features after the block."""
        return features + self.conv(features) if self.stays else self.conv(features)


class PaperMobileNetV2(nn.Module):
    """As torchvision and chenyaofo/pytorch-cifar-models spell it: ReLU6 and the paper's shortcuts."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        blocks, inside = [], 32
        for expansion, outside, count, first in _STAGES:
            for index in range(count):
                blocks.append(PlainBlock(inside, outside, expansion, 1 if index else first))
                inside = outside
        self.features = nn.Sequential(_step(3, 32, 3), *blocks, _step(inside, 1280, 1))
        self.classifier = nn.Sequential(nn.Identity(), nn.Linear(1280, classes))

    def forward(self, images: Images) -> Logits:
        """Return the logits of normalised images."""
        return self.classifier(self.features(images).mean(dim=(2, 3)))


register(
    "mobilenetv2",
    MobileNetV2,
    shape=(3, 32, 32),
    says="CIFAR-10, MobileNetV2 as in kuangliu/pytorch-cifar, 2,296,922 parameters",
)
register(
    "mobilenetv2-paper",
    PaperMobileNetV2,
    shape=(3, 32, 32),
    says="CIFAR-10, MobileNetV2 as in torchvision and chenyaofo/pytorch-cifar-models, 2,236,682 parameters",
)

"""Wide residual networks for 32×32 images, with the names that TRADES, HYDRA and RobustBench give their tensors.

Source: Zagoruyko and Komodakis 2016, arXiv:1605.07146. State dicts of TRADES and HYDRA hold ``sub_block1`` besides,
which no forward pass reaches: ``bench convert --drop 'sub_block1.*'``.
"""

from collections import OrderedDict
from functools import partial

from torch import Tensor, nn
from torch.nn import functional

from bench.models.architecture import register
from bench.tensors import Images, Logits

_SIZES = {(28, 4): "5,849,050", (28, 10): "36,479,194", (34, 10): "46,160,474"}
"""Depth and width to number of parameters."""


class Block(nn.Module):
    """Batch norm, ReLU and convolution, twice, around a shortcut that is convolved where channels change."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inside)
        self.conv1 = nn.Conv2d(inside, outside, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
        self.widens = inside != outside
        if self.widens:
            self.convShortcut = nn.Conv2d(inside, outside, 1, stride=stride, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return the features after the block."""
        active = functional.relu(self.bn1(features))
        shortcut = self.convShortcut(active) if self.widens else features
        return self.conv2(functional.relu(self.bn2(self.conv1(active)))) + shortcut


class WideResNet(nn.Module):
    """Three groups of ``(depth − 4) / 6`` blocks with 16, 32 and 64 times ``width`` channels."""

    def __init__(self, classes: int, *, depth: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        inside = 16
        for group, outside in enumerate((16 * width, 32 * width, 64 * width), start=1):
            blocks = []
            for index in range((depth - 4) // 6):
                blocks.append(Block(inside, outside, 2 if group > 1 and index == 0 else 1))
                inside = outside
            self.add_module(f"block{group}", nn.Sequential(OrderedDict(layer=nn.Sequential(*blocks))))
        self.bn1 = nn.BatchNorm2d(inside)
        self.fc = nn.Linear(inside, classes)

    def forward(self, images: Images) -> Logits:
        """Return the logits of normalised images."""
        features = self.conv1(images)
        for group in ("block1", "block2", "block3"):
            features = self.get_submodule(group)(features)
        return self.fc(functional.relu(self.bn1(features)).mean(dim=(2, 3)))


for (_depth, _width), _count in _SIZES.items():
    register(
        f"wrn-{_depth}-{_width}",
        partial(WideResNet, depth=_depth, width=_width),
        shape=(3, 32, 32),
        says=f"CIFAR-10, WRN-{_depth}-{_width} as in TRADES, HYDRA and RobustBench, {_count} parameters",
    )

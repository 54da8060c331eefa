"""The residual networks of He et al. for CIFAR-10, with either of the two shortcuts in use.

Source: He et al. 2016, arXiv:1512.03385, section 4.2.
"""

from functools import partial

from torch import Tensor, nn
from torch.nn import functional

from bench.models.architecture import register
from bench.tensors import Images, Logits

_DEPTHS = {
    20: ("269,722", "272,474"),
    32: ("464,154", "466,906"),
    44: ("658,586", "661,338"),
    56: ("853,018", "855,770"),
}
"""Depth to number of parameters, with padded and with convolved shortcuts."""


class Block(nn.Module):
    """Two convolutions with batch norm around a shortcut.

    A shortcut that changes shape either takes every second pixel and pads channels with zeros, equally before and
    after (option A), or is a strided 1×1 convolution with batch norm (option B).
    """

    def __init__(self, inside: int, outside: int, stride: int, *, convolve: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.stride = stride
        self.downsample: nn.Module | None = None
        if convolve and (stride != 1 or inside != outside):
            self.downsample = nn.Sequential(
                nn.Conv2d(inside, outside, 1, stride=stride, bias=False), nn.BatchNorm2d(outside)
            )

    def forward(self, features: Tensor) -> Tensor:
        """Return the features after the block."""
        changed = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(features)))))
        return functional.relu(changed + self._shortcut(features, channels=changed.shape[1]))

    def _shortcut(self, features: Tensor, channels: int) -> Tensor:
        if self.downsample is not None:
            return self.downsample(features)
        extra = channels - features.shape[1]
        strided = features[:, :, :: self.stride, :: self.stride]
        return functional.pad(strided, (0, 0, 0, 0, extra // 2, extra - extra // 2)) if extra else strided


class CifarResNet(nn.Module):
    """Three stages of ``(depth − 2) / 6`` blocks with 16, 32 and 64 channels.

    With padded shortcuts the last layer is called ``linear``, with convolved ones ``fc``, as in the checkpoints that
    are around.
    """

    def __init__(self, classes: int, *, depth: int, convolve: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        inside = 16
        for stage, outside in enumerate((16, 32, 64), start=1):
            blocks = []
            for index in range((depth - 2) // 6):
                stride = 2 if stage > 1 and index == 0 else 1
                blocks.append(Block(inside, outside, stride, convolve=convolve))
                inside = outside
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        self.head = "fc" if convolve else "linear"
        self.add_module(self.head, nn.Linear(64, classes))

    def forward(self, images: Images) -> Logits:
        """Return the logits of normalised images."""
        features = functional.relu(self.bn1(self.conv1(images)))
        for stage in ("layer1", "layer2", "layer3"):
            features = self.get_submodule(stage)(features)
        return self.get_submodule(self.head)(features.mean(dim=(2, 3)))


for _depth, (_padded, _convolved) in _DEPTHS.items():
    register(
        f"resnet{_depth}",
        partial(CifarResNet, depth=_depth, convolve=False),
        shape=(3, 32, 32),
        says=f"CIFAR-10, ResNet-{_depth} with zero-padded shortcuts and head `linear`, {_padded} parameters",
    )
    register(
        f"resnet{_depth}-conv",
        partial(CifarResNet, depth=_depth, convolve=True),
        shape=(3, 32, 32),
        says=f"CIFAR-10, ResNet-{_depth} with convolved shortcuts and head `fc`, {_convolved} parameters",
    )

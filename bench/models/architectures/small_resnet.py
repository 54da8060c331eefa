"""Small residual networks: one without batch norm from the verification literature, one with it for the digits."""

from torch import Tensor, nn
from torch.nn import functional

from bench.models.architecture import register
from bench.models.architectures.resnet18 import Block
from bench.tensors import Images, Logits


class BareBlock(nn.Module):
    """Two convolutions with biases around a shortcut, without batch norm."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride=stride, padding=1)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1)
        self.shortcut = nn.Sequential()
        if stride != 1 or inside != outside:
            self.shortcut = nn.Sequential(nn.Conv2d(inside, outside, 1, stride=stride))

    def forward(self, features: Tensor) -> Tensor:
        """Return the features after the block."""
        changed = self.conv2(functional.relu(self.conv1(features)))
        return functional.relu(changed + self.shortcut(features))


class ResNet2b(nn.Module):
    """The ``cifar10_resnet`` network of VNN-COMP 2021 with two blocks and two linear layers."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.layer1 = nn.Sequential(BareBlock(8, 16, 2), BareBlock(16, 16, 1))
        self.linear1 = nn.Linear(1024, 100)
        self.linear2 = nn.Linear(100, classes)

    def forward(self, images: Images) -> Logits:
        """Return the logits of normalised images."""
        features = self.layer1(functional.relu(self.conv1(images)))
        return self.linear2(functional.relu(self.linear1(features.flatten(1))))


class DigitsResNet(nn.Module):
    """A stem and two residual blocks with batch norm for images of 8×8 pixels."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.block1 = Block(16, 16, 1)
        self.block2 = Block(16, 32, 2)
        self.linear = nn.Linear(32, classes)

    def forward(self, images: Images) -> Logits:
        """Return the logits of images."""
        features = functional.relu(self.bn1(self.conv1(images)))
        return self.linear(self.block2(self.block1(features)).mean(dim=(2, 3)))


register(
    "resnet2b",
    ResNet2b,
    shape=(3, 32, 32),
    says="CIFAR-10, 2 residual blocks without batch norm and 2 linear layers, 112,006 parameters",
)
register(
    "digits-resnet",
    DigitsResNet,
    shape=(1, 8, 8),
    says="digits, 2 residual blocks with batch norm, 19,706 parameters",
)

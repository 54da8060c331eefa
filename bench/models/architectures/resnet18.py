"""ResNet-18 for 32×32 images, with the keys of RobustBench's checkpoints.

Source: He et al. 2016, arXiv:1512.03385; the 3×3 stem without pooling is the field's custom for CIFAR.
"""

from torch import Tensor, nn
from torch.nn import functional

from bench.models.architecture import register
from bench.tensors import Images, Logits


class Block(nn.Module):
    """Two convolutions with batch norm around a shortcut, convolved where the shape changes."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.shortcut = nn.Sequential()
        if stride != 1 or inside != outside:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inside, outside, 1, stride=stride, bias=False), nn.BatchNorm2d(outside)
            )

    def forward(self, features: Tensor) -> Tensor:
        """Return the features after the block."""
        changed = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(features)))))
        return functional.relu(changed + self.shortcut(features))


class ResNet18(nn.Module):
    """Four stages of two blocks with 64, 128, 256 and 512 channels."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = nn.Sequential(Block(64, 64, 1), Block(64, 64, 1))
        self.layer2 = nn.Sequential(Block(64, 128, 2), Block(128, 128, 1))
        self.layer3 = nn.Sequential(Block(128, 256, 2), Block(256, 256, 1))
        self.layer4 = nn.Sequential(Block(256, 512, 2), Block(512, 512, 1))
        self.linear = nn.Linear(512, classes)

    def forward(self, images: Images) -> Logits:
        """Return the logits of normalised images."""
        features = functional.relu(self.bn1(self.conv1(images)))
        features = self.layer4(self.layer3(self.layer2(self.layer1(features))))
        return self.linear(features.mean(dim=(2, 3)))


register("resnet18", ResNet18, shape=(3, 32, 32), says="CIFAR-10, ResNet-18 as in RobustBench, 11,173,962 parameters")

"""The five networks of Merkle et al., for MNIST, CIFAR-10 and Imagenette, as their public code computes them.

Three things there differ from what the names suggest: hidden linear layers end in tanh, batch norm of the VGG comes
behind ReLU and pooling, and the residual networks end without a norm. Their softmax at the end is left out, for
everything here speaks of logits.

Source: Merkle, Samsinger and Schöttle 2021, arXiv:2108.08560, with the code of
github.com/FlorianMerkle/network-pruning-and-robustness.
Differs from the source: padding is the same on both sides, where TensorFlow puts the odd pixel of a stride below and to
the right.
"""

from functools import partial

from torch import Tensor, nn
from torch.nn import functional

from bench.models.architecture import register
from bench.tensors import Images, Logits


def _mlp(classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 300), nn.Tanh(), nn.Linear(300, 100), nn.Tanh(), nn.Linear(100, classes)
    )


def _lenet5(classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.Tanh(),
        nn.Linear(120, 84),
        nn.Tanh(),
        nn.Linear(84, classes),
    )


def _vgg11(classes: int) -> nn.Module:
    layers: list[nn.Module] = []
    inside = 3
    for outside, halves in (
        (64, False), (128, True), (256, False), (256, True), (512, False), (512, True), (512, False), (512, True),
    ):  # fmt: skip
        layers += [nn.Conv2d(inside, outside, 3, padding=1, bias=False), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if halves else []
        layers += [nn.BatchNorm2d(outside)]
        inside = outside
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2048, 1024), nn.Tanh(), nn.Linear(1024, classes))


class Block(nn.Module):
    """Batch norm, ReLU and convolution, twice, around a shortcut that convolves its input where the stride is 2."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inside)
        self.conv1 = nn.Conv2d(inside, outside, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
        self.shortcut = nn.Sequential()
        if stride != 1:
            self.shortcut = nn.Sequential(nn.Conv2d(inside, outside, 1, stride=stride, bias=False))

    def forward(self, features: Tensor) -> Tensor:
        """Return the features after the block."""
        changed = self.conv1(functional.relu(self.bn1(features)))
        return self.conv2(functional.relu(self.bn2(changed))) + self.shortcut(features)


class ResNet(nn.Module):
    """A strided stem with ReLU, blocks of the widths given, the mean over all pixels and one linear layer."""

    def __init__(self, classes: int, *, stem: int, kernel: int, pools: bool, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, stem, kernel, stride=2, padding=kernel // 2, bias=False)
        self.pools = pools
        blocks, inside = [], stem
        for outside in widths:
            blocks.append(Block(inside, outside, 1 if inside == outside else 2))
            inside = outside
        self.blocks = nn.Sequential(*blocks)
        self.linear = nn.Linear(inside, classes)

    def forward(self, images: Images) -> Logits:
        """Return the logits of normalised images."""
        features = functional.relu(self.conv1(images))
        if self.pools:
            features = functional.max_pool2d(features, 3, stride=2, padding=1)
        return self.linear(self.blocks(features).mean(dim=(2, 3)))


register(
    "mnist-mlp-300-100",
    _mlp,
    shape=(1, 28, 28),
    says="MNIST, LeNet-300-100 as in Merkle et al. 2021: 3 linear layers with tanh, 266,610 parameters",
)
register(
    "mnist-lenet5",
    _lenet5,
    shape=(1, 28, 28),
    says="MNIST, LeNet-5 as in Merkle et al. 2021: 2 convolutions and 3 linear layers, 61,706 parameters",
)
register(
    "preact-resnet8",
    partial(ResNet, stem=32, kernel=3, pools=False, widths=(64, 128, 256)),
    shape=(3, 32, 32),
    says="CIFAR-10, pre-activation ResNet-8 as in Merkle et al. 2021, 1,209,002 parameters",
)
register(
    "vgg11-bn-merkle",
    _vgg11,
    shape=(3, 32, 32),
    says="CIFAR-10, VGG-11 with batch norm behind pooling as in Merkle et al. 2021, 11,331,658 parameters",
)
register(
    "preact-resnet18-224",
    partial(ResNet, stem=64, kernel=7, pools=True, widths=(64, 64, 128, 128, 256, 256, 512, 512)),
    shape=(3, 224, 224),
    says="Imagenette, pre-activation ResNet-18 as in Merkle et al. 2021, 11,178,826 parameters",
)

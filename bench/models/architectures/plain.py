"""Plain stacks of convolutions and linear layers, keyed by position as in ``nn.Sequential``."""

from collections import OrderedDict
from collections.abc import Callable

from torch import nn

from bench.models.architecture import register


def _two_convs(
    channels: tuple[int, int, int], *, flat: int, hidden: int, kernel: int = 4, padding: int = 1
) -> Callable[[int], nn.Module]:
    """Return a builder of two convolutions of stride 2 and two linear layers."""
    first, second, third = channels

    def build(classes: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(first, second, kernel, stride=2, padding=padding),
            nn.ReLU(),
            nn.Conv2d(second, third, kernel, stride=2, padding=padding),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(flat, hidden),
            nn.ReLU(),
            nn.Linear(hidden, classes),
        )

    return build


def _small_cnn(classes: int) -> nn.Module:
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 32, 3),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(32, 32, 3),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            conv3=nn.Conv2d(32, 64, 3),
            relu3=nn.ReLU(),
            conv4=nn.Conv2d(64, 64, 3),
            relu4=nn.ReLU(),
            pool4=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            fc1=nn.Linear(1024, 200),
            relu5=nn.ReLU(),
            fc2=nn.Linear(200, 200),
            relu6=nn.ReLU(),
            fc3=nn.Linear(200, classes),
        )
    )


def _digits_cnn(classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 96),
        nn.ReLU(),
        nn.Linear(96, classes),
    )


def _digits_mlp(classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, classes)
    )


def _digits_tiny(classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, 16),
        nn.ReLU(),
        nn.Linear(16, classes),
    )


_CIFAR, _MNIST, _DIGITS = (3, 32, 32), (1, 28, 28), (1, 8, 8)

register(
    "cnn-a",
    _two_convs((3, 16, 32), flat=2048, hidden=100),
    shape=_CIFAR,
    says="CIFAR-10, 2 convolutions (4×4, stride 2, padding 1) and 2 linear layers, 214,918 parameters",
)
register(
    "conv-small",
    _two_convs((3, 16, 32), flat=1152, hidden=100, padding=0),
    shape=_CIFAR,
    says="CIFAR-10, as cnn-a without padding, 125,318 parameters",
)
register(
    "cnn-oval-base",
    _two_convs((3, 8, 16), flat=1024, hidden=100),
    shape=_CIFAR,
    says="CIFAR-10, as cnn-a with half the channels, 105,966 parameters",
)
register(
    "mnist-cnn-a",
    _two_convs((1, 16, 32), flat=1568, hidden=100),
    shape=_MNIST,
    says="MNIST, 2 convolutions (4×4, stride 2, padding 1) and 2 linear layers, 166,406 parameters",
)
register(
    "mnist-madry-tiny",
    _two_convs((1, 4, 8), flat=392, hidden=128, kernel=5, padding=2),
    shape=_MNIST,
    says="MNIST, 2 convolutions (5×5, stride 2, padding 2) and 2 linear layers, 52,506 parameters",
)
register(
    "mnist-smallcnn",
    _small_cnn,
    shape=_MNIST,
    says="MNIST, 4 convolutions with max pooling and 3 linear layers, 312,202 parameters",
)
register(
    "digits-cnn",
    _digits_cnn,
    shape=_DIGITS,
    says="digits, 2 convolutions (3×3) and 2 linear layers, 55,018 parameters",
)
register("digits-mlp", _digits_mlp, shape=_DIGITS, says="digits, 3 linear layers, 17,226 parameters")
register(
    "digits-tiny",
    _digits_tiny,
    shape=_DIGITS,
    says="digits, 1 convolution and 2 linear layers, deliberately tiny: 1,250 parameters",
)

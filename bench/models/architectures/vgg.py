"""VGG-11 and VGG-16 with batch norm for 32×32 images, as four families of public code cut and name them.

All stack the same convolutions. Two of them give their tensors the same names and shapes and still compute something
else, for one ends in a maximum and one in a mean over the last 2×2 features: a file does not tell which.

Source: Simonyan and Zisserman 2014, arXiv:1409.1556, configurations A and D.
"""

from collections.abc import Callable
from functools import partial

from torch import nn

from bench.models.architecture import register
from bench.tensors import Images, Logits

_WIDTHS = {
    11: ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    16: ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)),
}
"""Channels of the convolutions between poolings."""


class VGG(nn.Module):
    """Convolutions with batch norm under ``body`` and linear layers under ``classifier``."""

    def __init__(self, body: str, features: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.add_module(body, features)
        self.classifier = classifier

    def forward(self, images: Images) -> Logits:
        """Return the logits of normalised images."""
        return self.classifier(self.get_submodule(self.body)(images).flatten(1))


def _features(depth: int, *, bias: bool, last: nn.Module) -> nn.Sequential:
    layers: list[nn.Module] = []
    inside = 3
    for index, widths in enumerate(_WIDTHS[depth]):
        layers += [nn.MaxPool2d(2)] if index else []
        for outside in widths:
            layers += [nn.Conv2d(inside, outside, 3, padding=1, bias=bias), nn.BatchNorm2d(outside), nn.ReLU()]
            inside = outside
    return nn.Sequential(*layers, last)


def _head(inside: int, hidden: int, classes: int, *, spaced: bool) -> nn.Sequential:
    """Return three linear layers, with places for dropout between them where the code they come from has it."""
    gap: list[nn.Module] = [nn.Identity()] if spaced else []
    return nn.Sequential(
        nn.Linear(inside, hidden),
        nn.ReLU(),
        *gap,
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        *gap,
        nn.Linear(hidden, classes),
    )


def _max(classes: int, *, depth: int) -> nn.Module:
    return VGG("features", _features(depth, bias=True, last=nn.MaxPool2d(2)), nn.Linear(512, classes))


def _mean(classes: int, *, depth: int) -> nn.Module:
    return VGG("features", _features(depth, bias=True, last=nn.AvgPool2d(2)), nn.Linear(512, classes))


def _slimming(classes: int, *, depth: int) -> nn.Module:
    return VGG("feature", _features(depth, bias=False, last=nn.AvgPool2d(2)), nn.Linear(512, classes))


def _hydra(classes: int, *, depth: int) -> nn.Module:
    features = _features(depth, bias=False, last=nn.AdaptiveAvgPool2d((2, 2)))
    return VGG("features", features, _head(2048, 256, classes, spaced=False))


def _hidden(classes: int, *, depth: int) -> nn.Module:
    features = _features(depth, bias=True, last=nn.MaxPool2d(2))
    return VGG("features", features, _head(512, 512, classes, spaced=True))


_FAMILIES: dict[str, tuple[Callable[..., nn.Module], str, tuple[str, str]]] = {
    "": (_max, "maximum at the end, as in kuangliu/pytorch-cifar", ("9,231,114", "14,728,266")),
    "-mean": (_mean, "mean at the end, as in bearpaw/pytorch-classification", ("9,231,114", "14,728,266")),
    "-slimming": (_slimming, "without biases, as in network slimming", ("9,228,362", "14,724,042")),
    "-hydra": (_hydra, "without biases and with three linear layers, as in HYDRA", ("9,816,138", "15,311,818")),
    "-hidden": (_hidden, "three linear layers, as in chenyaofo/pytorch-cifar-models", ("9,756,426", "15,253,578")),
}
"""Ending of the name to builder, description, and number of parameters at either depth."""

for _ending, (_make, _says, _counts) in _FAMILIES.items():
    for _depth, _count in zip(_WIDTHS, _counts, strict=True):
        register(
            f"vgg{_depth}-bn{_ending}",
            partial(_make, depth=_depth),
            shape=(3, 32, 32),
            says=f"CIFAR-10, VGG-{_depth} with batch norm, {_says}, {_count} parameters",
        )

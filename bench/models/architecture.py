"""The contract of an architecture: how to build a network that weights are loaded into."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

import torch
from torch import nn

from bench.errors import UsageError
from bench.registry import Registry

Shape = tuple[int, ...]

_OPTIONS = ("num_classes", "img_size", "in_chans")
"""What may stand after the question mark, named as timm names it."""


@dataclass(frozen=True, slots=True)
class Variant:
    """The name of an architecture with what a checkpoint was trained for: ``NAME?num_classes=10&img_size=32``.

    Attributes:
        name: the part before the question mark.
        classes, size, channels: logits, height and width, channels of the images; None where nothing is said.
    """

    name: str
    classes: int | None = None
    size: tuple[int, int] | None = None
    channels: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Variant":
        """Read a name as ``--arch`` takes it.

        Raises:
            UsageError: naming the part after the question mark that says nothing.
        """
        name, _, options = text.partition("?")
        said = parse_qsl(options, keep_blank_values=True)
        given, keys = dict(said), [key for key, _ in said]
        odd = [key for key in keys if key not in _OPTIONS or keys.count(key) > 1]
        if odd:
            raise UsageError(f"{text!r}: {odd[0]!r} should be one of {', '.join(_OPTIONS)}, each given once.")
        classes, channels = (_number(text, key, given.get(key)) for key in ("num_classes", "in_chans"))
        if classes == 1:
            raise UsageError(f"{text!r}: one logit tells nothing apart; a network of two classes gives two logits.")
        size = given.get("img_size")
        if size is None:
            return cls(name, classes, None, channels)
        height, _, width = size.partition("x")
        sides = [_number(text, "img_size", side) or 0 for side in (height, width or height)]
        return cls(name, classes, (sides[0], sides[1]), channels)

    def shape(self, usual: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return the shape of the images, as said or else as usual."""
        height, width = self.size or usual[1:]
        return (self.channels or usual[0], height, width)


def _number(text: str, key: str, value: str | None) -> int | None:
    if value is None:
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,5}", value):
        raise UsageError(f"{text!r}: {key} should be a positive number, got {value!r}.")
    return int(value)


@dataclass(frozen=True, slots=True)
class Architecture:
    """An architecture, at its usual number of classes and size of images or at those that were asked for.

    Attributes:
        make: build the dense network that tells so many classes apart, without input normalisation.
        shape: channels, height, width of the images it takes.
        classes: number of logits.
        says: one line for lists.
        fixed: whether it comes with its number of classes alone.
    """

    name: str
    make: Callable[[int], nn.Module]
    shape: tuple[int, int, int]
    classes: int
    says: str
    fixed: bool = False

    def build(self) -> nn.Module:
        """Return a fresh network and leave the global random numbers as they were."""
        with torch.random.fork_rng(devices=[]):
            return self.make(self.classes)

    def shapes(self) -> dict[str, Shape]:
        """Return the table of shapes of the network's tensors, without making their numbers where that works."""
        try:
            with torch.device("meta"):
                network = self.build()
        except Exception:  # noqa: BLE001 - some of timm's look at numbers while they are built, and say so in any way
            network = self.build()
        return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}

    def of(self, *, classes: int | None = None, shape: tuple[int, int, int] | None = None) -> "Architecture":
        """Return the same architecture for other classes or images, spelled so that ``--arch`` reads it back.

        Raises:
            UsageError: if it comes with other classes alone.
        """
        classes, shape = classes or self.classes, shape or self.shape
        if self.fixed and classes != self.classes:
            raise UsageError(f"{self.name} tells {self.classes} classes apart and comes for no other number.")
        variant = Variant.parse(self.name)
        said = {
            "num_classes": str(classes) if classes != self.classes or variant.classes else "",
            "img_size": _size(shape) if shape[1:] != self.shape[1:] or variant.size else "",
            "in_chans": str(shape[0]) if shape[0] != self.shape[0] or variant.channels else "",
        }
        options = "&".join(f"{key}={value}" for key, value in said.items() if value)
        name = f"{variant.name}?{options}" if options else variant.name
        return replace(self, name=name, classes=classes, shape=shape)

    def telling(self, shapes: Mapping[str, Shape]) -> "Architecture":
        """Return the same architecture with as many classes as a checkpoint of these shapes tells apart.

        Where names are not these, or the tensors that grow with the classes disagree, nothing changes, and loading
        tells what does not fit.
        """
        here = self.shapes()
        if (
            self.fixed
            or not here.keys() >= shapes.keys()
            or all(shapes.get(name, here[name]) == here[name] for name in here)
        ):
            return self
        more = self.of(classes=self.classes + 1).shapes()
        found = {
            shapes[name][axis]
            for name, shape in here.items()
            for axis, size in enumerate(shape)
            if more[name] != shape and more[name][axis] == size + 1 and len(shapes.get(name, ())) == len(shape)
        }
        return self.of(classes=found.pop()) if len(found) == 1 and min(found) > 1 else self


def _size(shape: tuple[int, int, int]) -> str:
    _, height, width = shape
    return str(height) if height == width else f"{height}x{width}"


ARCHITECTURES: Registry[Architecture] = Registry(
    "architecture", "bench.models.architectures", "prunebench.architectures"
)


def register(
    name: str, make: Callable[[int], nn.Module], *, shape: tuple[int, int, int], says: str, classes: int = 10
) -> None:
    """File an architecture under its name; ``make`` builds it for any number of classes."""
    ARCHITECTURES.register(name)(Architecture(name, make, shape, classes, says))

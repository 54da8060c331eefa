"""What a data set delivers: exact pixels, labels, ids, and a digest over all of them."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from bench.data.official import Official
from bench.errors import InputError, UsageError
from bench.registry import Registry
from bench.tensors import Ids, Images, Labels


@dataclass(frozen=True, slots=True)
class EvalSet:
    """Images with labels and ids, as decoded from their files.

    Attributes:
        pixels: uint8, NHWC, in the order of ``ids``.
        scale: the pixel value that means 1.0; 255 for photographs, 16 for the digits.
        labels: int64.
        ids: int64, position in the data set's split.
        classes: their names, by label.
        read_from: published digest by name of the official files that the points come from, each held against it while
            it was read; empty where nobody held any.
    """

    name: str
    split: str
    pixels: NDArray[np.uint8]
    scale: int
    labels: NDArray[np.int64]
    ids: NDArray[np.int64]
    classes: tuple[str, ...]
    read_from: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse data whose parts do not fit together."""
        if not len(self.pixels) == len(self.labels) == len(self.ids):
            raise InputError(
                f"{self.name} {self.split}: {len(self.pixels)} images, {len(self.labels)} labels and "
                f"{len(self.ids)} ids do not belong together."
            )
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise InputError(f"{self.name} {self.split}: a label lies outside 0..{len(self.classes) - 1}.")
        if len(self.pixels) and self.pixels.max() > self.scale:
            raise InputError(f"{self.name} {self.split}: a pixel exceeds {self.scale}.")

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.labels)

    @property
    def digest(self) -> str:
        """Sha256 over the NHWC pixel bytes, then the labels as little-endian int64."""
        digest = hashlib.sha256(np.ascontiguousarray(self.pixels).data)
        digest.update(np.ascontiguousarray(self.labels.astype("<i8")).tobytes())
        return digest.hexdigest()

    def images(self, device: torch.device | str = "cpu") -> Images:
        """Return float32 NCHW images in [0, 1]."""
        pixels = torch.from_numpy(np.ascontiguousarray(self.pixels.transpose(0, 3, 1, 2)))
        return pixels.to(torch.float32).div_(self.scale).to(device)

    def label_tensor(self, device: torch.device | str = "cpu") -> Labels:
        """Return the labels as a tensor."""
        return torch.from_numpy(self.labels).to(device)

    def id_tensor(self, device: torch.device | str = "cpu") -> Ids:
        """Return the ids as a tensor."""
        return torch.from_numpy(self.ids).to(device)

    def head(self, count: int) -> "EvalSet":
        """Return the first points."""
        return self.take([int(point) for point in self.ids[:count]])

    def take(self, wanted: Sequence[int]) -> "EvalSet":
        """Return the points with these ids, in this order.

        Raises:
            UsageError: if an id is not here.
        """
        where = {int(point): row for row, point in enumerate(self.ids)}
        missing = [point for point in wanted if point not in where]
        if missing:
            raise UsageError(
                f"{self.name} {self.split} has no point {missing[0]} (ids {self.ids.min()}..{self.ids.max()})."
            )
        rows = [where[point] for point in wanted]
        return replace(self, pixels=self.pixels[rows], labels=self.labels[rows], ids=self.ids[rows])


@dataclass(frozen=True, slots=True)
class DataSource:
    """A registered data set.

    Attributes:
        load: (split, wanted ids in order) to the points; ``test`` is for evaluation, ``train`` for calibration.
        shape: channels, height, width.
        citation: how its authors ask to be cited.
        official: the files in which it is published; None where it comes with a package or is somebody's own.
    """

    name: str
    load: Callable[[str, Sequence[int]], EvalSet]
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    citation: str
    official: Official | None = None


DATASETS: Registry[DataSource] = Registry("data set", "bench.data.zoo", "prunebench.datasets")

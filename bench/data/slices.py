"""Read data sets that lie in the data folder as ``<split>-<first>-<last>.npz`` slices."""

import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.data.dataset import EvalSet
from bench.errors import InputError, UsageError


@dataclass(frozen=True, slots=True)
class Layout:
    """What every image file of one data set must look like.

    Attributes:
        shape: height, width, channels.
        sizes: number of points by split.
    """

    name: str
    shape: tuple[int, int, int]
    sizes: Mapping[str, int]
    classes: tuple[str, ...]
    scale: int = 255

    def check(self, split: str, ids: Sequence[int]) -> None:
        """Refuse splits and points that the data set does not have.

        Raises:
            UsageError: naming the first that is wrong.
        """
        if split not in self.sizes:
            raise UsageError(f"{self.name} has no split {split!r}; it has {', '.join(self.sizes)}.")
        wrong = [point for point in ids if not 0 <= point < self.sizes[split]]
        if wrong:
            raise UsageError(f"{self.name} {split} has no point {wrong[0]} (ids 0..{self.sizes[split] - 1}).")

    def points(
        self,
        split: str,
        pixels: NDArray[np.uint8],
        labels: NDArray[np.int64],
        ids: NDArray[np.int64],
        read_from: Mapping[str, str] | None = None,
    ) -> EvalSet:
        """Put decoded arrays together; ``read_from`` as a set of points has it."""
        return EvalSet(self.name, split, pixels, self.scale, labels, ids, self.classes, read_from or {})


def from_slices(layout: Layout, folder: Path, split: str, ids: Sequence[int]) -> EvalSet | None:
    """Return the points from the slices that hold them, or None where the slices leave a point out.

    Raises:
        InputError: if a slice that is needed is not what its name says.
    """
    missing = set(ids)
    parts: list[EvalSet] = []
    for first, last, path in _slices(folder, split):
        inside = {point for point in missing if first <= point <= last}
        if inside:
            missing -= inside
            parts.append(_read(layout, split, path, first, last).take(sorted(inside)))
    if missing or not parts:
        return None
    together = layout.points(
        split,
        np.concatenate([part.pixels for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.ids for part in parts]),
    )
    return together.take(ids)


def _slices(folder: Path, split: str) -> list[tuple[int, int, Path]]:
    named = re.compile(rf"{re.escape(split)}-(\d+)-(\d+)\.npz")
    if not folder.is_dir():
        return []
    found = ((named.fullmatch(path.name), path) for path in folder.iterdir())
    return sorted((int(name[1]), int(name[2]), path) for name, path in found if name)


def _read(layout: Layout, split: str, path: Path, first: int, last: int) -> EvalSet:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            images, labels, ids = (arrays[name] for name in ("images", "labels", "ids"))
    except KeyError as error:
        raise InputError(f"{path} has no array {error.args[0]}; a slice holds images, labels and ids.") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read as a slice of plain arrays ({error}); fetch it again.") from None
    count = last - first + 1
    for name, array, shape, kind in (
        ("images", images, (count, *layout.shape), "uint8"),
        ("labels", labels, (count,), "int64"),
        ("ids", ids, (count,), "int64"),
    ):
        if array.shape != shape or array.dtype != kind:
            raise InputError(
                f"{path}: {name} should be {kind} of shape {shape}, got {array.dtype} of shape {array.shape}."
            )
    if not np.array_equal(ids, np.arange(first, last + 1)):
        raise InputError(f"{path}: ids should be {first}..{last} in order, as the file's name says.")
    return layout.points(split, images, labels, ids)

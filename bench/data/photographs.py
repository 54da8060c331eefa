"""Photographs that a list names, from folders or from the archive in which they were published."""

import hashlib
import tarfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.data.dataset import EvalSet
from bench.data.decoding import Preprocessing, decode
from bench.errors import AbsentError, InputError, UsageError

SCALED = Preprocessing(size=256, crop=224, interpolation="bilinear", channels=3)
"""What RobustBench shows its networks of ImageNet: shorter side 256, middle square 224."""


@dataclass(frozen=True, slots=True)
class Photograph:
    """One image: its class folder, the name of its file, its class."""

    folder: str
    file: str
    label: int


@dataclass(frozen=True, slots=True)
class Gallery:
    """Photographs in the order of their ids.

    Attributes:
        places: where a photograph may lie, the first that is there counts; relative to nothing.
        archive: a tar file that holds it under the name of its file alone, where no place has it.
        advice: what to place where.
    """

    name: str
    classes: tuple[str, ...]
    places: Callable[[Photograph], Iterable[Path]]
    advice: str
    archive: Path | None = None

    def load(self, split: str, listed: Sequence[Photograph], ids: Sequence[int]) -> EvalSet:
        """Return the photographs with these ids, scaled and cropped.

        Raises:
            UsageError: if an id is not on the list.
            InputError: if a photograph is missing or cannot be decoded.
        """
        beyond = [point for point in ids if not 0 <= point < len(listed)]
        if beyond:
            raise UsageError(f"{self.name} {split} has no point {beyond[0]} (ids 0..{len(listed) - 1}).")
        chosen = [listed[point] for point in ids]
        pixels = np.empty((len(chosen), SCALED.crop, SCALED.crop, SCALED.channels), np.uint8)
        absent = {}
        for row, one in enumerate(chosen):
            path = next((path for path in self.places(one) if path.is_file()), None)
            if path is None:
                absent[one.file] = row
            else:
                pixels[row] = decode(path, SCALED)
        if absent:
            self._from_archive(absent, pixels)
        labels = np.array([one.label for one in chosen], np.int64)
        return EvalSet(self.name, split, pixels, 255, labels, np.array(ids, np.int64), self.classes)

    def _from_archive(self, rows: dict[str, int], pixels: NDArray[np.uint8]) -> None:
        wanted = dict(rows)
        if self.archive is not None and self.archive.is_file():
            try:
                with tarfile.open(self.archive) as packed:
                    for member in packed:
                        row = wanted.pop(Path(member.name).name, None)
                        if row is not None and (file := packed.extractfile(member)) is not None:
                            pixels[row] = decode(Path(member.name), SCALED, file.read())
            except (OSError, tarfile.TarError) as error:
                raise InputError(f"{str(self.archive)!r} cannot be read ({error}); place it again.") from None
        if wanted:
            raise AbsentError(
                f"{self.name}: {len(wanted)} of its photographs are not there, {min(wanted)} first; {self.advice}."
            )


@cache
def mixed(folder: Path, classes: tuple[str, ...], count: int) -> tuple[Photograph, ...]:
    """Return the photographs of an ImageFolder ordered by the sha256 of their names, which mixes the classes.

    Raises:
        InputError: if there are not exactly ``count``.
    """
    found = [
        Photograph(name, path.name, label)
        for label, name in enumerate(classes)
        for path in (folder / name).glob("*.JPEG")
    ]
    if len(found) != count:
        raise AbsentError(
            f"{str(folder)!r} holds {len(found):,} photographs of the classes where {count:,} belong; place all, one "
            "folder a class."
        )
    return tuple(sorted(found, key=lambda one: hashlib.sha256(one.file.encode()).digest()))

"""Photographs that a list names, from folders or from the archive in which they were published."""

import hashlib
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from io import BufferedReader
from pathlib import Path

import numpy as np

from bench.data.dataset import EvalSet
from bench.data.decoding import PREPARED, decode
from bench.errors import AbsentError, InputError, UsageError


@dataclass(frozen=True, slots=True)
class Photograph:
    """One image: its class folder, the name of its file, its class."""

    folder: str
    file: str
    label: int


@dataclass(frozen=True, slots=True)
class Gallery:
    """The photographs of a split.

    Attributes:
        name: of the data set.
        listed: in the order of their ids.
    """

    name: str
    split: str
    classes: tuple[str, ...]
    listed: Sequence[Photograph]

    def in_folders(self, ids: Sequence[int], places: Callable[[Photograph], Iterable[Path]], advice: str) -> EvalSet:
        """Return the photographs with these ids, scaled and cropped, from wherever they lie.

        Args:
            ids: in any order.
            places: where a photograph may lie; the first that is there counts.
            advice: what to place where.

        Raises:
            UsageError: if an id is not on the list.
            InputError: if a photograph is missing or cannot be decoded.
        """
        chosen = self._chosen(ids)
        found = [next((path for path in places(one) if path.is_file()), None) for one in chosen]
        if absent := [one.file for one, path in zip(chosen, found, strict=True) if path is None]:
            # those that were asked for may be a few of many, and their number would be taken for that of all
            some = any(path.is_file() for one in self.listed for path in places(one))
            lacks = (
                f"at least {len(absent):,} of its photographs are not there, {min(absent)} first"
                if some
                else f"none of its {len(self.listed):,} photographs is there"
            )
            raise AbsentError(f"{self.name}: {lacks}; {advice}.")
        rows = ((row, path, None) for row, path in enumerate(found) if path is not None)
        return self._decoded(ids, rows, {})

    def in_archive(
        self,
        ids: Sequence[int],
        file: BufferedReader,
        inside: Callable[[Photograph], str],
        read_from: Mapping[str, str],
    ) -> EvalSet:
        """Return the photographs with these ids, scaled and cropped, from an open archive; nothing is unpacked.

        Args:
            ids: in any order.
            file: the archive.
            inside: the whole name of a photograph's member.
            read_from: what the archive was held against.

        Raises:
            UsageError: if an id is not on the list.
            InputError: if a photograph is missing or cannot be decoded, or the archive cannot be read.
        """
        wanted = {inside(one): row for row, one in enumerate(self._chosen(ids))}
        return self._decoded(ids, _unpacked(file, wanted), read_from)

    def _chosen(self, ids: Sequence[int]) -> list[Photograph]:
        beyond = [point for point in ids if not 0 <= point < len(self.listed)]
        if beyond:
            raise UsageError(f"{self.name} {self.split} has no point {beyond[0]} (ids 0..{len(self.listed) - 1}).")
        return [self.listed[point] for point in ids]

    def _decoded(
        self, ids: Sequence[int], found: Iterable[tuple[int, Path, bytes | None]], read_from: Mapping[str, str]
    ) -> EvalSet:
        how = PREPARED[self.name]
        pixels = np.empty((len(ids), how.crop, how.crop, how.channels), np.uint8)
        for row, path, content in found:
            pixels[row] = decode(path, how, content)
        labels = np.array([one.label for one in self._chosen(ids)], np.int64)
        return EvalSet(self.name, self.split, pixels, 255, labels, np.array(ids, np.int64), self.classes, read_from)


def _members(file: BufferedReader) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield the name of every plain file in an archive, and what reads it; links lead nowhere."""
    file.seek(0)
    try:
        with tarfile.open(fileobj=file) as packed:
            for member in packed:
                content = packed.extractfile(member) if member.isreg() else None
                if content is not None:
                    yield member.name.removeprefix("./"), content.read
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise InputError(f"{str(file.name)!r} cannot be read ({error}); place it again.") from None


def _unpacked(file: BufferedReader, rows: Mapping[str, int]) -> Iterator[tuple[int, Path, bytes]]:
    """Yield the rows of members with their names and what they hold.

    Raises:
        InputError: if a member is not there, or there twice.
    """
    left = dict(rows)
    for name, read in _members(file):
        if name in rows and left.pop(name, None) is None:
            raise InputError(f"{str(file.name)!r} holds {name!r} twice; place the published one.")
        if name in rows:
            yield rows[name], Path(name), read()
    if left:
        raise InputError(f"{str(file.name)!r} does not hold {min(left)!r}; place the published one.")


def packed_in(file: BufferedReader, folder: str, classes: Sequence[str]) -> Iterator[Photograph]:
    """Yield the photographs of an open archive that lie in ``folder``, one folder a class."""
    labels = {f"{folder}/{name}": (name, label) for label, name in enumerate(classes)}
    for name, _ in _members(file):
        place, _, inside = name.rpartition("/")
        if place in labels and inside.endswith(".JPEG"):
            yield Photograph(labels[place][0], inside, labels[place][1])


def mixed(found: Iterable[Photograph], count: int, where: Path) -> tuple[Photograph, ...]:
    """Return photographs in the order of the sha256 of their names, which mixes the classes.

    Raises:
        AbsentError: if there are not exactly ``count``.
    """
    ordered = sorted(found, key=lambda one: hashlib.sha256(one.file.encode()).digest())
    if len(ordered) != count:
        raise AbsentError(
            f"{str(where)!r} holds {len(ordered):,} photographs of the classes where {count:,} belong; place all, one "
            "folder a class."
        )
    return tuple(ordered)


@cache
def mixed_in(folder: Path, classes: tuple[str, ...], count: int) -> tuple[Photograph, ...]:
    """Return the photographs of an ImageFolder in that order; raises as ``mixed`` does."""
    found = (
        Photograph(name, path.name, label)
        for label, name in enumerate(classes)
        for path in (folder / name).glob("*.JPEG")
    )
    return mixed(found, count, folder)

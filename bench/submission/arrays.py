"""Plain arrays in an .npz: packed so that the bytes depend on them alone, read after their headers were judged.

Arrays of photographs are written and read in parts, so that no more than a part of them is ever in memory.
"""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.errors import SubmissionError
from bench.submission.regular import opened

_EPOCH = (1980, 1, 1, 0, 0, 0)
_MEMBERS = 512
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}\.npy")
_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(
    rb"\{'descr': '([<|][biuf][1248])', 'fortran_order': False, "
    rb"'shape': \(((?:[0-9]{1,15},(?: [0-9]{1,15},?)*)?)\), \} *\n"
)
_TYPES = {np.dtype(kind).str: np.dtype(kind) for kind in ("?", "i1", "u1", "i2", "i4", "i8", "f2", "f4", "f8")}
_AT_ONCE = 2**25
"""Bytes of an array that are in memory at once where it is taken in parts; 55 photographs of 224 × 224 pixels."""
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    RuntimeError,
    ValueError,
    struct.error,
    OSError,
)
"""What Python's archive reader raises where bytes are cut, encrypted, packed in another way or made up."""


class Header(NamedTuple):
    """What an array says of itself before it is decoded."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes that decoding takes."""
        return prod(self.shape) * self.dtype.itemsize


Judge = Callable[[Mapping[str, Header]], Iterable[str]]
"""Yields one sentence per header that is not as expected."""


@dataclass(frozen=True, slots=True)
class Parts:
    """An array that is written without being whole anywhere.

    Attributes:
        parts: makes its rows in order, some at a time.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    parts: Callable[[], Iterable[NDArray[Any]]]


Arrays: TypeAlias = Mapping[str, NDArray[Any] | Parts]
"""What one file holds, by name."""


def rows_at_once(shape: tuple[int, ...], itemsize: int) -> int:
    """Return how many rows of an array of this shape are taken at once."""
    return max(1, _AT_ONCE // max(1, prod(shape[1:]) * itemsize))


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return an .npz whose bytes depend on the arrays alone (no clock in the archive)."""
    archive = io.BytesIO()
    write_arrays(archive, arrays)
    return archive.getvalue()


def write_arrays(file: io.BufferedIOBase, arrays: Arrays) -> None:
    """Write the bytes that ``pack_arrays`` returns to a file that can be wound back."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in sorted(arrays):
            array = arrays[name]
            if not isinstance(array, Parts):
                array = np.ascontiguousarray(array)
            header = io.BytesIO()
            described = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False}
            np.lib.format.write_array_header_1_0(header, described | {"shape": array.shape})
            info = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.file_size = header.tell() + prod(array.shape) * array.dtype.itemsize
            with archive.open(info, "w") as member:
                member.write(header.getvalue())
                for part in array.parts() if isinstance(array, Parts) else [array]:
                    member.write(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)


class Archive:
    """The arrays of an .npz, each read when it is asked for, whole or in parts; ``opened_arrays`` gives one.

    Reading raises a SubmissionError where the archive is damaged.

    Attributes:
        headers: what each array says of itself, as judged.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path, self._archive = path, archive
        with _told(path):
            self._members = _members(archive)
            self.headers = {name: _header(archive, info) for name, info in self._members.items()}

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return an array as a whole."""
        header = self.headers[name]
        whole = np.empty(header.shape, header.dtype)
        rows = whole.reshape(header.shape or (1,))
        done = 0
        for part in self.parts(name):
            rows[done : done + len(part)] = part
            done += len(part)
        return whole

    def parts(self, name: str) -> Iterator[NDArray[Any]]:
        """Yield an array in parts of consecutive rows, of one size where arrays have one shape and type."""
        info, header = self._members[name], self.headers[name]
        with _told(self._path), self._archive.open(info) as member:
            member.read(info.file_size - header.nbytes)
            for shape in _cut(header.shape or (1,), header.dtype.itemsize):
                raw = bytearray(prod(shape) * header.dtype.itemsize)
                if not _filled(member.read, raw):
                    raise ValueError(f"{info.filename!r} holds another number of bytes than its header says")
                if header.dtype == np.bool_ and raw.translate(None, b"\0\1"):
                    raise ValueError(f"{info.filename!r} holds booleans that are neither true nor false")
                yield np.ndarray(shape, header.dtype, raw)
            # reading to the end is what makes the archive compare its checksum
            if member.read(1):
                raise ValueError(f"{info.filename!r} holds another number of bytes than its header says")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        raise SubmissionError(f"{path.name}: expected plain arrays in {str(path)!r}, got: {error}.") from None


def _cut(shape: tuple[int, ...], itemsize: int) -> Iterator[tuple[int, ...]]:
    """Yield the shapes of the parts of an array; of an array without rows there are none."""
    rows = rows_at_once(shape, itemsize)
    for first in range(0, shape[0], rows):
        yield (min(rows, shape[0] - first), *shape[1:])


def _filled(read: Callable[[int], bytes], raw: bytearray) -> bool:
    """Fill a buffer from a member, and tell whether it held enough."""
    done = 0
    while done < len(raw):
        piece = read(min(2**20, len(raw) - done))
        if not piece:
            return False
        raw[done : done + len(piece)] = piece
        done += len(piece)
    return True


@contextmanager
def opened_arrays(
    path: Path, *, packed: int | None = None, decoded: int | None = None, judge: Judge | None = None
) -> Iterator[Archive]:
    """Open the arrays of an .npz, never unpickling; nothing is decoded before every header has been judged.

    Args:
        path: of the archive.
        packed: bytes that the file may have; None for one of one's own.
        decoded: bytes that its arrays may have together; None likewise.
        judge: names every array that is not as expected.

    Raises:
        SubmissionError: if the file is missing, is damaged, or holds anything but plain arrays as expected.
    """
    with opened(path, packed) as file:
        with _told(path):
            unpacked = zipfile.ZipFile(file)
        with unpacked:
            archive = Archive(path, unpacked)
            total = sum(header.nbytes for header in archive.headers.values())
            if decoded is not None and total > decoded:
                raise SubmissionError(f"{path.name}: its arrays ask for {total} bytes; at most {decoded} are read.")
            if judge is not None and (wrong := list(judge(archive.headers))):
                raise SubmissionError(f"{path.name}: {'; '.join(wrong)}.")
            yield archive


def read_arrays(
    path: Path, *, packed: int | None = None, decoded: int | None = None, judge: Judge | None = None
) -> dict[str, NDArray[Any]]:
    """Return all arrays of an .npz; takes and raises what ``opened_arrays`` does."""
    with opened_arrays(path, packed=packed, decoded=decoded, judge=judge) as archive:
        return {name: archive[name] for name in sorted(archive.headers)}


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    if len(infos) > _MEMBERS:
        raise ValueError(f"{len(infos)} members, at most {_MEMBERS}")
    for info in infos:
        if not _NAME.fullmatch(info.filename):
            raise ValueError(f"a member called {info.filename[:80]!r}")
        if info.flag_bits & 0x1:
            raise ValueError(f"{info.filename!r} is encrypted")
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise ValueError(f"{info.filename!r} is packed by method {info.compress_type}, expected deflate")
    members = {info.filename.removesuffix(".npy"): info for info in infos}
    if len(members) != len(infos):
        raise ValueError("two members of one name")
    return members


def _header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Header:
    with archive.open(info) as member:
        start = member.read(10)
        length = int.from_bytes(start[8:], "little")
        text = member.read(length) if len(start) == 10 and start.startswith(_MAGIC) and length <= 4096 else b""
    found = _HEADER.fullmatch(text)
    dtype = _TYPES.get(found[1].decode()) if found else None
    if found is None or dtype is None:
        raise ValueError(f"{info.filename!r} is no plain array in C order of booleans, integers or floats")
    header = Header(dtype, tuple(int(size) for size in found[2].decode().split(",") if size.strip()))
    if len(header.shape) > 8 or header.nbytes + 10 + length != info.file_size:
        raise ValueError(
            f"{info.filename!r} is said to have {info.file_size} bytes, not as many as {dtype} of shape {header.shape}"
        )
    return header

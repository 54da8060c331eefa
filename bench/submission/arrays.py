"""Plain arrays in an .npz: packed so that the bytes depend on them alone, read after their headers were judged."""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

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


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return an .npz whose bytes depend on the arrays alone (no clock in the archive)."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as file:
        for name in sorted(arrays):
            content = io.BytesIO()
            np.lib.format.write_array(content, np.ascontiguousarray(arrays[name]), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(info, content.getvalue())
    return archive.getvalue()


def read_arrays(
    path: Path, *, packed: int | None = None, decoded: int | None = None, judge: Judge | None = None
) -> dict[str, NDArray[Any]]:
    """Read the arrays of an .npz, never unpickling; nothing is decoded before every header has been judged.

    Args:
        path: of the archive.
        packed: bytes that the file may have; None for one of one's own.
        decoded: bytes that its arrays may have together; None likewise.
        judge: names every array that is not as expected.

    Raises:
        SubmissionError: if the file is missing, is damaged, or holds anything but plain arrays as expected.
    """
    try:
        with opened(path, packed) as file, zipfile.ZipFile(file) as archive:
            members = _members(archive)
            found = {name: _header(archive, info) for name, info in members.items()}
            total = sum(header.nbytes for header in found.values())
            if decoded is not None and total > decoded:
                raise SubmissionError(f"{path.name}: its arrays ask for {total} bytes; at most {decoded} are read.")
            if judge is not None and (wrong := list(judge(found))):
                raise SubmissionError(f"{path.name}: {'; '.join(wrong)}.")
            return {name: _decode(archive, members[name], found[name]) for name in sorted(members)}
    except _DAMAGED as error:
        raise SubmissionError(f"{path.name}: expected plain arrays in {str(path)!r}, got: {error}.") from None


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


def _decode(archive: zipfile.ZipFile, info: zipfile.ZipInfo, header: Header) -> NDArray[Any]:
    with archive.open(info) as member:
        member.read(info.file_size - header.nbytes)
        raw = member.read(header.nbytes)
        # reading to the end is what makes the archive compare its checksum
        if len(raw) != header.nbytes or member.read(1):
            raise ValueError(f"{info.filename!r} holds another number of bytes than its header says")
    if header.dtype == np.bool_ and raw.translate(None, b"\0\1"):
        raise ValueError(f"{info.filename!r} holds booleans that are neither true nor false")
    return np.ndarray(header.shape, header.dtype, raw).copy()

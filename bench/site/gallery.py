"""Witnesses one can look at: original, adversarial image and enlarged difference, as PNG in the page."""

import base64
import struct
import zlib
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.site.entries import Entry
from bench.site.figures import symbol
from bench.submission.arrays import read_arrays
from bench.submission.files import WITNESSES_FILE
from bench.threats import Norm

PIECES = 2
"""Shown per norm where the page can carry them: the witnesses at the terciles of distance."""
ROOM = 10_000
"""Bytes of pixels that a page carries, three images for each witness shown; one is shown whatever its size."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One witness."""

    id: int
    label: str
    distance: str
    gain: str
    images: tuple[tuple[str, str], ...]
    """What each image shows, and the image as a data address."""


@dataclass(frozen=True, slots=True)
class Group:
    """The witnesses of one norm."""

    title: str
    pieces: tuple[Piece, ...]


def gallery(entry: Entry) -> list[Group]:
    """Return the witnesses to show, out of those in the entry's folder."""
    arrays = read_arrays(entry.path / WITNESSES_FILE)
    size = 3 * prod(arrays[f"image_{Norm.LINF}"].shape[1:])
    pieces = min(PIECES, ROOM // (len(Norm) * size))
    shown = dict.fromkeys(Norm, pieces) if pieces else {next(iter(entry.robust)): 1}
    groups = [Group(f"Nearest in {symbol(norm)}", _pieces(entry, norm, arrays, most)) for norm, most in shown.items()]
    return [group for group in groups if group.pieces]


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode an image of shape (height, width, 1 or 3) as PNG; the same pixels give the same bytes."""
    height, width, channels = pixels.shape
    colour = {1: 0, 3: 2}[channels]
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    lines = b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(pixels))
    # Stored, not compressed: zlib's output differs between its implementations.
    body = zlib.compress(lines, 0)
    parts = [_chunk(b"IHDR", header), _chunk(b"IDAT", body), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _pieces(entry: Entry, norm: Norm, arrays: dict[str, NDArray[Any]], most: int) -> tuple[Piece, ...]:
    points, ids = entry.folder.points, arrays[f"id_{norm}"]
    rows = {int(point): row for row, point in enumerate(points.id)}
    distance = np.array([points.distance[norm][rows[int(point)]] for point in ids])
    ranked = np.lexsort((ids, distance))
    picks = sorted({len(ranked) * part // (most + 1) for part in range(1, most + 1)}) if len(ranked) else []
    return tuple(
        _piece(entry, norm, rows[int(ids[index])], arrays[f"clean_{norm}"][index], arrays[f"image_{norm}"][index])
        for index in (ranked[pick] for pick in picks)
    )


def _piece(entry: Entry, norm: Norm, row: int, clean: NDArray[np.float32], image: NDArray[np.float32]) -> Piece:
    points, classes = entry.folder.points, entry.result.data.classes
    change = image.astype(np.float64) - clean.astype(np.float64)
    largest = float(np.abs(change).max())
    gain = 0.5 / largest if largest else 1.0
    label = classes[int(points.label[row])]
    shown = (("original", clean), ("adversarial", image), ("difference", 0.5 + gain * change))
    images = tuple((f"{name}, point {int(points.id[row])}", _address(pixels)) for name, pixels in shown)
    value = float(points.distance[norm][row])
    distance = f"{value:.0f} pixel{'s' if value != 1 else ''}" if norm is Norm.L0 else f"{value:.3g}"
    return Piece(int(points.id[row]), label, distance, f"{gain:.2g}", images)


def _address(pixels: NDArray[Any]) -> str:
    levels = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    shown = levels if levels.shape[2] in {1, 3} else levels[:, :, :1]
    return "data:image/png;base64," + base64.b64encode(png(shown)).decode()

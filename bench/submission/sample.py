"""Which points' witnesses lie in an entry's folder: few enough to be cloned by all, and not for authors to choose.

A run keeps the nearest witness of every broken point, megabytes of them. A witness proves a point broken, which nobody
has a reason to forge, so what an entry shows of them need not be whole; another run makes them all again.
"""

import hashlib
from collections.abc import Iterable
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.submission.agreement import judge_witnesses
from bench.submission.arrays import Archive, opened_arrays, pack_arrays
from bench.threats import Norm

MOST = 96
"""Points of an entry whose witnesses its folder holds."""
VALUES = 30_720
"""Numbers in the images of those points together: ten points of CIFAR-10. One point is always among them."""


def drawn_ids(ids: Iterable[int], words: object, count: int) -> list[int]:
    """Return so many of the ids at most, by the digests of the words and each id, so that nobody chooses them."""
    return sorted(ids, key=lambda point: hashlib.sha256(f"{words} {point}".encode()).digest())[:count]


def sampled(ids: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Tell which points' witnesses belong into the folder, by the digests of their ids.

    Args:
        ids: of all points of the entry.
        shape: of an image.
    """
    count = max(1, min(MOST, VALUES // prod(shape)))
    return np.isin(ids, drawn_ids(ids.tolist(), "witness", count))


def drawn(witnesses: Path, ids: NDArray[np.int64]) -> bytes:
    """Return the witnesses.npz of an entry, out of that of its run, read in parts.

    Args:
        witnesses: the file of the run.
        ids: of all its points.

    Raises:
        SubmissionError: if the file is damaged.
    """
    arrays: dict[str, NDArray[np.int64] | NDArray[np.float32]] = {}
    with opened_arrays(witnesses, judge=judge_witnesses) as stored:
        held = ids[sampled(ids, stored.headers[f"image_{Norm.LINF}"].shape[1:])]
        for norm in Norm:
            which = stored[f"id_{norm}"]
            keep = np.isin(which, held)
            arrays[f"id_{norm}"] = which[keep]
            for part in ("image", "clean"):
                arrays[f"{part}_{norm}"] = _rows(stored, f"{part}_{norm}", keep)
    return pack_arrays(arrays)


def _rows(stored: Archive, name: str, keep: NDArray[np.bool_]) -> NDArray[np.float32]:
    found, first = [np.empty((0, *stored.headers[name].shape[1:]), np.float32)], 0
    for part in stored.parts(name):
        found.append(part[keep[first : first + len(part)]])
        first += len(part)
    return np.concatenate(found)

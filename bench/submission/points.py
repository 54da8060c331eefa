"""The arrays of points.npz: what happened to every single point."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.submission.arrays import Header, pack_arrays, read_arrays
from bench.submission.schema import MOST_POINTS
from bench.threats import Norm, surface

Bits = NDArray[np.bool_]

PACKED = 16 * 2**20
"""Bytes that a points.npz may weigh."""
DECODED = 64 * 2**20
"""Bytes that its arrays may take."""


@dataclass(frozen=True, slots=True)
class PointTable:
    """One row per evaluated point.

    Attributes:
        distance: per norm, float32; 0 where the clean image is misclassified, infinity where no attack succeeded.
        broken: per norm and attack of its cascade, in the order of the file.
    """

    id: NDArray[np.int64]
    label: NDArray[np.int64]
    prediction: NDArray[np.int64]
    distance: Mapping[Norm, NDArray[np.float32]]
    broken: Mapping[tuple[Norm, str], Bits]

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.id)

    @property
    def correct(self) -> Bits:
        """Which points the model classifies right when nobody attacks."""
        return np.asarray(self.prediction == self.label)

    def attacks(self, norm: Norm) -> list[str]:
        """Return the attacks with a bit per point under this norm."""
        return [attack for of, attack in self.broken if of is norm]

    def robust(self, norm: Norm) -> Bits:
        """Which points survive every attack of this norm's own cascade."""
        standing = self.correct.copy()
        for attack in self.attacks(norm):
            standing &= ~self.broken[norm, attack]
        return standing

    def standing(self, norm: Norm, epsilon: Fraction) -> Bits:
        """Which points no verified witness within ``epsilon`` breaks, whoever found it: the best that is known."""
        return np.asarray(self.correct & (self.distance[norm] > np.float32(surface(norm, float(epsilon)))))

    def pack(self) -> bytes:
        """Return the bytes of a points.npz."""
        arrays: dict[str, NDArray[Any]] = {"id": self.id, "label": self.label, "prediction": self.prediction}
        arrays |= {f"distance_{norm}": values for norm, values in self.distance.items()}
        arrays |= {f"broken_{norm}_{attack}": bits for (norm, attack), bits in self.broken.items()}
        return pack_arrays(arrays)


def read_points(path: Path) -> PointTable:
    """Read a points.npz.

    Raises:
        SubmissionError: naming every array that is missing, unknown, or of another type or length than expected.
    """
    arrays = read_arrays(path, packed=PACKED, decoded=DECODED, judge=_judge)
    broken = {named: array for name, array in arrays.items() if (named := _attack(name))}
    distance = {norm: arrays[f"distance_{norm}"] for norm in Norm}
    return PointTable(arrays["id"], arrays["label"], arrays["prediction"], distance, broken)


def _judge(headers: Mapping[str, Header]) -> Iterator[str]:
    wanted: dict[str, type[np.generic]] = dict.fromkeys(("id", "label", "prediction"), np.int64)
    wanted |= dict.fromkeys((f"distance_{norm}" for norm in Norm), np.float32)
    yield from (f"no array {name!r}" for name in wanted if name not in headers)
    length = headers["id"].shape[0] if "id" in headers and len(headers["id"].shape) == 1 else 0
    if length > MOST_POINTS:
        yield f"{length} points, at most {MOST_POINTS} are read"
    for name, header in sorted(headers.items()):
        expected = wanted.get(name) or (np.bool_ if _attack(name) else None)
        if expected is None:
            yield f"an unknown array {name!r}"
        elif header.dtype != expected or header.shape != (length,):
            kind = np.dtype(expected)
            yield f"{name!r} is {header.dtype} of shape {header.shape}, expected {kind} of shape ({length},)"


def _attack(name: str) -> tuple[Norm, str] | None:
    kind, _, rest = name.partition("_")
    norm, _, attack = rest.partition("_")
    return (Norm(norm), attack) if kind == "broken" and norm in list(Norm) and attack else None

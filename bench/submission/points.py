"""The arrays of points.npz: what happened to every single point."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import SubmissionError
from bench.submission.files import pack_arrays, read_arrays
from bench.threats import SLACK, Norm

Bits = NDArray[np.bool_]

_FLOAT32 = 2e-7
"""Relative; comparing in float32 or in float64 may differ this close to the surface."""


@dataclass(frozen=True, slots=True)
class PointTable:
    """One row per evaluated point.

    Attributes:
        distance: per norm, float32; 0 where the clean image is misclassified, infinity where no attack succeeded.
        broken: per norm and attack, in the order of the file; ``pooled`` holds what witnesses of other norms broke.
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
        """Which points survive every attack of this norm's threat model."""
        standing = self.correct.copy()
        for attack in self.attacks(norm):
            standing &= ~self.broken[norm, attack]
        return standing

    def beyond(self, norm: Norm, epsilon: Fraction) -> tuple[int, int]:
        """Count the points whose distance exceeds ``epsilon``: surely, and at most, given the last bit of a float32."""
        distance = self.distance[norm].astype(np.float64)
        if norm is Norm.L0:
            count = int((distance > float(epsilon)).sum())
            return count, count
        surface = float(epsilon) * (1 + SLACK)
        sure, most = surface * (1 + _FLOAT32), surface * (1 - _FLOAT32)
        return int((distance > sure).sum()), int((distance > most).sum())

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
    arrays = read_arrays(path)
    wanted: dict[str, type[np.generic]] = dict.fromkeys(("id", "label", "prediction"), np.int64)
    wanted |= dict.fromkeys((f"distance_{norm}" for norm in Norm), np.float32)
    found: list[str] = [f"no array {name!r}" for name in wanted if name not in arrays]
    broken: dict[tuple[Norm, str], Bits] = {}
    length = len(arrays["id"]) if "id" in arrays and arrays["id"].ndim == 1 else None
    for name, array in arrays.items():
        kind, _, rest = name.partition("_")
        norm, _, attack = rest.partition("_")
        expected = wanted.get(name)
        if expected is None and kind == "broken" and norm in list(Norm) and attack:
            expected = np.bool_
            broken[Norm(norm), attack] = array
        if expected is None:
            found.append(f"an unknown array {name!r}")
        elif array.dtype != expected or array.ndim != 1 or (length is not None and len(array) != length):
            found.append(
                f"{name!r} is {array.dtype} of shape {array.shape}, expected {np.dtype(expected)} of shape ({length},)"
            )
    if found:
        raise SubmissionError(f"{path.name}: {'; '.join(found)}.")
    distance = {norm: arrays[f"distance_{norm}"] for norm in Norm}
    return PointTable(arrays["id"], arrays["label"], arrays["prediction"], distance, broken)

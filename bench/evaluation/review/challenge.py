"""Confirms a stranger's witnesses against an entry by forward passes; nothing else of them counts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.errors import SubmissionError, UsageError
from bench.evaluation import environment
from bench.evaluation.environment import exact_arithmetic
from bench.evaluation.review.replay import confirmed
from bench.evaluation.review.review import at_hand
from bench.submission.arrays import pack_arrays, read_arrays
from bench.submission.check import Folder
from bench.submission.files import WITNESS_BYTES
from bench.threats import Norm

_PARTS = ("id", "image")


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What witnesses do to an entry.

    Attributes:
        images: how many there are.
        counting: rows of those that break a point within the radius of a threat model.
        news: per norm, the ids of points that stand on the boards and fall to one of them.
    """

    entry: Folder
    images: int
    counting: NDArray[np.int64]
    news: dict[Norm, list[int]]
    environment: dict[str, str]

    def lines(self) -> list[list[str]]:
        """Return one row per threat model, for a table."""
        before, points = self.entry.standing(), self.entry.result.data.points
        return [
            [
                f"{threat.norm} {threat.epsilon}",
                str(int(before[threat.norm].sum())),
                str(len(self.news[threat.norm])),
                f"{int(before[threat.norm].sum()) - len(self.news[threat.norm])} of {points}",
            ]
            for threat in self.entry.result.threats
        ]


def confirm(place: Path, arrays: dict[str, NDArray[Any]], *, device: str = "auto") -> Confirmed:
    """Pass every image through the network of the entry at ``place``, and measure how far it lies from its point.

    Args:
        place: the entry's folder.
        arrays: ``id`` (int64, N) and ``image`` (float32, NCHW, in [0, 1]).
        device: to compute on.

    Raises:
        SubmissionError: if an id is none of the entry's points, or the images are of another size.
        InputError: if the points at hand are not read from the files that the rules pin.
        ArtefactError: if the entry's weights are not what it says.
    """
    entry, cell, target = at_hand(place, device=device)
    rows = {int(point): row for row, point in enumerate(target.ids.tolist())}
    ids, images = arrays["id"], torch.from_numpy(arrays["image"]).to(target.images.device)
    strange = sorted(set(ids.tolist()) - set(rows))
    if strange or images.shape[1:] != target.images.shape[1:]:
        what = f"has no point {strange[0]}" if strange else f"takes images of shape {tuple(target.images.shape[1:])}"
        raise SubmissionError(f"{entry.submission.id!r} {what}; these witnesses are of another entry.")
    where = torch.tensor([rows[int(point)] for point in ids], dtype=torch.long, device=target.images.device)
    with exact_arithmetic():
        broken = confirmed(target, images, where, cell)
    order, now = np.sort(entry.points.id), entry.standing()
    news = {norm: sorted(set(ids[hits].tolist()) & set(order[now[norm]].tolist())) for norm, hits in broken.items()}
    counting = np.flatnonzero(np.any([hits & np.isin(ids, news[norm]) for norm, hits in broken.items()], axis=0))
    return Confirmed(entry, len(ids), counting, news, environment.environment())


def gather(path: Path) -> dict[str, NDArray[Any]]:
    """Read witnesses as anyone may bring them: ``id`` and ``image``, or as a run stores them, norm by norm.

    Raises:
        SubmissionError: if they are none.
    """
    arrays = read_arrays(path)
    if set(arrays) >= set(_PARTS):
        found = {part: arrays[part] for part in _PARTS}
    else:
        norms = [norm for norm in Norm if {f"{part}_{norm}" for part in _PARTS} <= set(arrays)]
        if not norms:
            raise SubmissionError(f"{path.name} holds {', '.join(sorted(arrays))}; expected the arrays id and image.")
        found = {part: np.concatenate([arrays[f"{part}_{norm}"] for norm in norms]) for part in _PARTS}
    return {"id": found["id"].astype(np.int64), "image": np.ascontiguousarray(found["image"], dtype=np.float32)}


def write(place: Path, name: str, arrays: dict[str, NDArray[Any]], found: Confirmed) -> bytes:
    """Return the bytes of ``challenge-NAME.npz``: the witnesses that count, and no others.

    Raises:
        UsageError: if one of that name lies there, or they are too many for the repository.
    """
    if (place / f"challenge-{name}.npz").exists():
        raise UsageError(f"a challenge called {name!r} lies in {str(place)!r} already; choose another --name.")
    packed = pack_arrays({part: arrays[part][found.counting] for part in _PARTS})
    if len(packed) > WITNESS_BYTES:
        raise UsageError(
            f"{len(found.counting)} witnesses take {len(packed)} bytes, at most {WITNESS_BYTES} lie in the repository; "
            "challenge in several parts."
        )
    return packed

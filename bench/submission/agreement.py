"""Whether the arrays of a submission agree with its counts and with each other."""

from collections.abc import Iterator, Mapping
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from bench.protocol.load import load, names
from bench.submission.arrays import Archive, Header
from bench.submission.files import POINTS_FILE, WITNESSES_FILE
from bench.submission.points import PointTable
from bench.submission.schema import Result, ThreatRecord
from bench.threats import SLACK, Norm

_CHANNELS = 3
"""The most channels that an image of any supported data set has."""
_SIDE = 1024
"""The longest side of an image, in pixels."""
_RELATIVE = 1e-4
"""Between two float32 computations of the same distance."""


def point_problems(result: Result, points: PointTable) -> Iterator[str]:
    """Yield one sentence per disagreement between the counts of a result and its points."""
    if len(points) != result.data.points:
        yield f"{POINTS_FILE}: {len(points)} rows for {result.data.points} points."
        return
    if len(np.unique(points.id)) != len(points):
        yield f"{POINTS_FILE}: an id appears twice."
    if result.standard and result.protocol.name in names():
        ids, there = load(result.protocol.name).data.ids, (int(points.id.min()), int(points.id.max()))
        if there != (ids[0], ids[-1]):
            yield f"{POINTS_FILE}: ids go from {there[0]} to {there[1]}, the rules' from {ids[0]} to {ids[-1]}."
    classes = len(result.data.classes)
    for name, values in (("label", points.label), ("prediction", points.prediction)):
        if len(values) and not 0 <= values.min() <= values.max() < classes:
            yield f"{POINTS_FILE}: a {name} lies outside 0..{classes - 1}."
    correct = int(points.correct.sum())
    if correct != result.clean.correct:
        yield f"{POINTS_FILE}: {correct} points are correct, the result says {result.clean.correct}."
    yield from _distances(points)
    strangers = sorted({norm for norm, _ in points.broken} - {threat.norm for threat in result.threats})
    if strangers:
        yield f"{POINTS_FILE}: broken bits for {', '.join(strangers)}, which the result does not measure."
    for threat in result.threats:
        yield from _threat(threat, points)
    yield from _curves(result, points)


def _curves(result: Result, points: PointTable) -> Iterator[str]:
    for norm, curve in result.curves.items():
        for epsilon, robust in zip(curve.epsilon, curve.robust, strict=False):
            count = int(points.standing(norm, Fraction(epsilon)).sum())
            if count != robust:
                yield (
                    f"{POINTS_FILE}: {count} points have {norm} distance above {epsilon}, curves.{norm} says {robust}."
                )


def _distances(points: PointTable) -> Iterator[str]:
    correct = points.correct
    finite = {norm: np.isfinite(values) for norm, values in points.distance.items()}
    for norm, values in points.distance.items():
        if np.isnan(values).any() or (values < 0).any():
            yield f"{POINTS_FILE}: distance_{norm} holds NaN or negative values."
        if ((values == 0) == correct).any():
            yield f"{POINTS_FILE}: distance_{norm} must be 0 where the clean image is misclassified, and only there."
        if (finite[norm] != finite[Norm.LINF]).any():
            yield (
                f"{POINTS_FILE}: distance_{norm} and distance_Linf are finite for different points; a witness counts "
                "in every norm."
            )
    both = finite[Norm.LINF] & finite[Norm.L2] & finite[Norm.L0]
    linf, l2, l0 = (points.distance[norm][both].astype(np.float64) for norm in (Norm.LINF, Norm.L2, Norm.L0))
    if (linf > 1 + SLACK).any():
        yield f"{POINTS_FILE}: distance_Linf exceeds 1, the whole range of a pixel."
    if (l0 != np.round(l0)).any():
        yield f"{POINTS_FILE}: distance_L0 counts pixels, it must hold whole numbers."
    if (linf > l2 * (1 + _RELATIVE)).any():
        yield f"{POINTS_FILE}: distance_Linf exceeds distance_L2, though the L2 witness itself is nearer."
    if (l2 > np.sqrt(_CHANNELS * l0) * (1 + _RELATIVE)).any():
        yield f"{POINTS_FILE}: distance_L2 exceeds what the L0 witness itself measures at most."


def _threat(threat: ThreatRecord, points: PointTable) -> Iterator[str]:
    where = f"{POINTS_FILE}: {threat.norm} {threat.epsilon}"
    taken = np.zeros(len(points), dtype=np.bool_)
    for attack in threat.attacks:
        bits = points.broken.get((threat.norm, attack.name), np.zeros(len(points), dtype=np.bool_))
        if int(bits.sum()) != attack.broken:
            yield f"{where}: {int(bits.sum())} points are broken by {attack.name}, the result says {attack.broken}."
        if (bits & taken).any():
            yield f"{where}: {attack.name} breaks a point that had been broken before."
        taken |= bits
    if (taken & ~points.correct).any():
        yield f"{where}: a point is broken that was misclassified without any attack."
    unnamed = sorted(set(points.attacks(threat.norm)) - {attack.name for attack in threat.attacks})
    if unnamed:
        yield f"{where}: broken bits of {', '.join(unnamed)}, which the result does not name."
    robust, standing = points.robust(threat.norm), points.standing(threat.norm, threat.radius)
    if int(robust.sum()) != threat.robust:
        yield f"{where}: {int(robust.sum())} points survive the cascade, the result says {threat.robust}."
    if int(standing.sum()) != threat.best_known:
        yield f"{where}: {int(standing.sum())} points have a larger distance, best_known says {threat.best_known}."
    if far := points.distance[threat.norm][standing & ~robust].tolist():
        yield f"{where}: a point is broken by the cascade whose distance is {min(far):.6g}."


def judge_witnesses(headers: Mapping[str, Header]) -> Iterator[str]:
    """Yield one sentence per array of a witnesses.npz that is not as expected, by their headers alone."""
    wanted = {f"{part}_{norm}" for norm in Norm for part in ("id", "image", "clean")}
    if set(headers) != wanted:
        yield f"expected the arrays {', '.join(sorted(wanted))}, got {', '.join(sorted(headers)[:20]) or 'none'}"
        return
    for norm in Norm:
        ids, images, clean = (headers[f"{part}_{norm}"] for part in ("id", "image", "clean"))
        if images.dtype != np.float32 or clean.dtype != np.float32 or ids.dtype != np.int64:
            yield f"{norm} needs int64 ids and float32 images, got {ids.dtype}, {images.dtype} and {clean.dtype}"
        if len(images.shape) != 4 or images.shape != clean.shape or ids.shape != images.shape[:1]:
            yield f"{norm} images {images.shape}, clean {clean.shape} and ids {ids.shape} do not fit"
        elif images.shape[1] not in {1, _CHANNELS} or not all(1 <= side <= _SIDE for side in images.shape[2:]):
            yield (
                f"{norm} images are of shape {images.shape[1:]}, expected 1 or {_CHANNELS} channels and sides of 1 to "
                f"{_SIDE} pixels"
            )
    if len({headers[f"image_{norm}"].shape[1:] for norm in Norm}) > 1:
        yield "the images of the three norms differ in shape"


def witness_problems(points: PointTable, stored: Archive, held: NDArray[np.bool_] | None = None) -> Iterator[str]:
    """Yield one sentence per disagreement between stored witnesses and the distances they prove; read in parts.

    Args:
        points: of the run.
        stored: its witnesses.
        held: which points' witnesses are there; all, unless told otherwise.
    """
    rows = {int(point): row for row, point in enumerate(points.id)}
    of = "those" if held is None else "those of the sample"
    for norm in Norm:
        ids, distance = stored[f"id_{norm}"], points.distance[norm]
        there = (distance > 0) & np.isfinite(distance)
        broken = set(points.id[there if held is None else there & held].tolist())
        if set(ids.tolist()) != broken or len(ids) != len(broken):
            yield f"{WITNESSES_FILE}: {norm} has witnesses for other points than {of} with a finite distance."
            continue
        measured = _measured(stored, norm)
        if measured is None:
            yield f"{WITNESSES_FILE}: {norm} holds pixels outside [0, 1]."
            continue
        where = [rows[int(point)] for point in ids]
        yield from _witness_distances(norm, measured, distance[where], points, where)


def _measured(stored: Archive, norm: Norm) -> dict[Norm, NDArray[np.float64]] | None:
    """Measure all witnesses of a norm; None where a pixel, theirs or a clean one, is outside [0, 1]."""
    found: list[dict[Norm, NDArray[np.float64]]] = []
    for images, clean in zip(stored.parts(f"image_{norm}"), stored.parts(f"clean_{norm}"), strict=True):
        if not all(np.isfinite(part).all() and ((part >= 0) & (part <= 1)).all() for part in (images, clean)):
            return None
        found.append(measure(images, clean))
    return {of: np.concatenate([np.empty(0), *(part[of] for part in found)]) for of in Norm}


def _witness_distances(
    norm: Norm,
    measured: Mapping[Norm, NDArray[np.float64]],
    claimed: NDArray[np.float32],
    points: PointTable,
    rows: list[int],
) -> Iterator[str]:
    if not np.allclose(measured[norm], claimed, rtol=_RELATIVE, atol=1e-7):
        yield f"{WITNESSES_FILE}: a {norm} witness does not lie at the distance that {POINTS_FILE} says."
    for other in Norm:
        if rows and (points.distance[other][rows] > measured[other] * (1 + _RELATIVE) + 1e-7).any():
            yield f"{WITNESSES_FILE}: a {norm} witness is nearer in {other} than distance_{other} says."


def measure(images: NDArray[np.float32], clean: NDArray[np.float32]) -> dict[Norm, NDArray[np.float64]]:
    """Return the size of each perturbation in every norm; images are NCHW."""
    change = images.astype(np.float64) - clean.astype(np.float64)
    return {
        Norm.LINF: np.abs(change).max(axis=(1, 2, 3), initial=0.0),
        Norm.L2: np.sqrt((change * change).sum(axis=(1, 2, 3))),
        Norm.L0: (change != 0).any(axis=1).sum(axis=(1, 2)).astype(np.float64),
    }

"""Whether an entry speaks of itself alone: it replaces only what is its authors' own, and is nobody else's network."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.errors import SubmissionError
from bench.protocol.load import load, names
from bench.submission.files import (
    MOST_BYTES,
    POINTS_FILE,
    RESULT_FILE,
    SUBMISSION_FILE,
    VERIFICATION_FILE,
    WITHDRAWAL_FILE,
    parse,
    read_result,
    read_submission,
    sha256,
)
from bench.submission.points import PointTable, read_points
from bench.submission.regular import content
from bench.submission.schema import Result, Submission
from bench.submission.verification import Verification, verification_problems
from bench.text import folded
from bench.threats import Norm

_TELLING = 20
"""Distances above zero and below infinity that no two networks share all of."""
_LOOKED = 128
"""Points at which all entries are compared with each other, evenly spaced."""
_ALIKE = 1e-3
"""Share of a distance by which a copy in disguise misses it; with its channels in another order one missed 1e-4."""
_MANY = 0.5
"""Share of alike distances from which two networks are one; of two that are not, a parent and its child had 8 %."""


class Neighbour(NamedTuple):
    """What the entries beside an entry need to know of it."""

    authors: frozenset[str]
    supersedes: str | None
    weights: str
    """Digest of the tensors that were attacked."""
    file: str | None = None
    """Digest of its own file of weights as it is read; None where a recipe prunes what a file holds."""
    outputs: str | None = None
    """Digest of predictions and distances; None where they may be alike by chance."""
    distances: NDArray[np.float32] | None = None
    """In L2 at some points, zero where there is none; None where they may be alike by chance."""
    parent: str | None = None
    """The entry that it names as its dense parent."""
    parent_weights: str | None = None
    """Digest of the parent that was measured beside it."""
    parent_file: str | None = None
    """Name of the file of weights that the parent is; None for one that anyone has."""
    dense: bool = True
    pixels: str | None = None
    """Digest of what its points decode to, where the rules pin files and cannot know it; None where withdrawn."""
    vouched: bool = False
    """A listed verifier has read the same points."""


def neighbour(
    submission: Submission, result: Result, points: PointTable | None, *, vouched: bool, withdrawn: bool
) -> Neighbour:
    """Return what others need to know of an entry."""
    rules = result.protocol.name
    told = not withdrawn and rules in names() and bool(load(rules).data.files)
    return Neighbour(
        authors=frozenset(submission.authors),
        supersedes=submission.supersedes,
        weights=result.model.weights_sha256,
        file=_file(result),
        outputs=None if points is None or result.collapsed else outputs(points),
        distances=None if points is None or result.collapsed else distances(points),
        parent=submission.parent,
        parent_weights=result.model.parent_sha256,
        parent_file=name if (name := result.model.parent) and name.endswith(".safetensors") else None,
        dense=result.pruning.structure == "dense",
        pixels=result.data.digest if told else None,
        vouched=vouched,
    )


def _file(result: Result) -> str | None:
    """Return one word for a file, the architecture and the normalisation that it is read with: the same network."""
    model = result.model
    if model.file_sha256 is None or model.normalisation is None or result.pruning.made:
        return None
    return f"{model.file_sha256} {model.architecture} {model.normalisation.mean} {model.normalisation.std}"


def outputs(points: PointTable) -> str | None:
    """Return the digest of what a network answers and how far it holds, in the order of ids; None where little says it.

    Fewer distances than tell two networks apart may be alike by chance.
    """
    rows = points.id.argsort()
    distances = [values[rows] for values in points.distance.values()]
    if max(int((np.isfinite(values) & (values > 0)).sum()) for values in distances) < _TELLING:
        return None
    found = hashlib.sha256(points.prediction[rows].tobytes())
    for values in distances:
        found.update(values.tobytes())
    return found.hexdigest()


def distances(points: PointTable) -> NDArray[np.float32] | None:
    """Return a few L2 distances, which every entry has and which no two networks share by chance, in the order of ids.

    Distances in the largest change are often the radius itself, and those in pixels are few whole numbers.
    """
    found = points.distance[Norm.L2][points.id.argsort()]
    found = found[:: max(1, len(found) // _LOOKED)][:_LOOKED]
    found = np.where(np.isfinite(found), found, np.float32(0))
    return found if int((found > 0).sum()) >= _TELLING else None


def kin(first: frozenset[str], second: frozenset[str]) -> bool:
    """Tell whether two entries share an author, however the name is spelt."""
    return not {folded(name) for name in first}.isdisjoint(folded(name) for name in second)


def neighbours(folder: Path) -> dict[str, Neighbour]:
    """Return the entries of a protocol's folder that can be read; what is wrong with the others is said elsewhere."""
    found = {}
    try:
        places = sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError:
        return {}
    for place in places:
        try:
            submission, result = read_submission(place / SUBMISSION_FILE), read_result(place / RESULT_FILE)
        except SubmissionError:
            continue
        points = _points(place)
        found[place.name] = neighbour(
            submission,
            result,
            points,
            vouched=points is not None and _vouched(place, submission, result, points),
            withdrawn=(place / WITHDRAWAL_FILE).is_file(),
        )
    return found


def _vouched(place: Path, submission: Submission, result: Result, points: PointTable) -> bool:
    try:
        found = parse(Verification, content(place / VERIFICATION_FILE, MOST_BYTES[VERIFICATION_FILE]), "")
        digest = sha256(content(place / RESULT_FILE, MOST_BYTES[RESULT_FILE]))
    except SubmissionError:
        return False
    return not any(verification_problems(found, submission, result, points, digest))


def _points(place: Path) -> PointTable | None:
    try:
        return read_points(place / POINTS_FILE)
    except SubmissionError:
        return None


def relation_problems(entries: Mapping[str, Neighbour], apart: AbstractSet[str] = frozenset()) -> dict[str, list[str]]:
    """Return, for each entry of one protocol, one sentence per claim on another one that it has no right to.

    ``apart`` are entries in which nothing changed since no two of them were found to answer alike.
    """
    heirs: defaultdict[str, list[str]] = defaultdict(list)
    alike: defaultdict[str, list[str]] = defaultdict(list)
    echoes: defaultdict[str, list[str]] = defaultdict(list)
    files: defaultdict[str, list[str]] = defaultdict(list)
    for name, entry in sorted(entries.items()):
        alike[entry.weights].append(name)
        if entry.file is not None:
            files[entry.file].append(name)
        if entry.outputs is not None:
            echoes[entry.outputs].append(name)
        if entry.supersedes is not None:
            heirs[entry.supersedes].append(name)
    disguised = _disguised(entries, apart)
    read = _read(entries, heirs)
    return {
        name: [
            *_succession(name, entries, heirs),
            *_copies(name, "model.weights_sha256 is that", alike[entry.weights], entries),
            *_copies(name, "model.file_sha256 is that", files.get(entry.file or "", []), entries),
            *_copies(name, "every prediction and distance is that", echoes.get(entry.outputs or "", []), entries),
            *_copies(name, "most distances are those", disguised[name], entries),
            *_descent(name, entries),
            *_orphan(entry, [entries[other] for other in alike.get(entry.parent_weights or "", [])]),
            *(_pixels(entry, read, entries) if entry.vouched or name not in heirs else ()),
        ]
        for name, entry in entries.items()
    }


def _succession(name: str, entries: Mapping[str, Neighbour], heirs: Mapping[str, list[str]]) -> Iterator[str]:
    before = entries[name].supersedes
    if before is None:
        return
    if before not in entries:
        yield f"{SUBMISSION_FILE}: supersedes {before!r}, but no such entry stands beside it."
        return
    if not kin(entries[before].authors, entries[name].authors):
        yield (
            f"{SUBMISSION_FILE}: supersedes {before!r} of {', '.join(sorted(entries[before].authors))}; only who is an "
            "author of both can replace it."
        )
    if rivals := [heir for heir in heirs[before] if heir != name]:
        yield f"{SUBMISSION_FILE}: supersedes {before!r}, which is superseded already, by {', '.join(rivals)}."
    if before != name and name in _line(before, entries):
        yield f"{SUBMISSION_FILE}: supersedes {before!r}, which supersedes it in turn."


def _descent(name: str, entries: Mapping[str, Neighbour]) -> Iterator[str]:
    entry = entries[name]
    if entry.parent is None:
        return
    if entry.parent not in entries:
        yield f"{SUBMISSION_FILE}: parent is {entry.parent!r}, but no such entry stands beside it."
    elif entry.dense or not entries[entry.parent].dense:
        which = "this entry is dense itself" if entry.dense else f"{entry.parent!r} is pruned"
        yield f"{SUBMISSION_FILE}: parent names the dense network that a pruned one came from, but {which}."
    elif entries[entry.parent].weights != entry.parent_weights:
        yield (
            f"{SUBMISSION_FILE}: parent is {entry.parent!r} with weights {entries[entry.parent].weights}, but this "
            f"entry was measured beside a parent with {entry.parent_weights}."
        )


def _disguised(entries: Mapping[str, Neighbour], apart: AbstractSet[str] = frozenset()) -> defaultdict[str, list[str]]:
    """Return, for each entry, those of other people whose network answers alike, as with channels in another order.

    A network that lost weights which did nothing answers as its parent does, and is told by the parent's digest.
    """
    found: defaultdict[str, list[str]] = defaultdict(list)
    sized: defaultdict[int, list[str]] = defaultdict(list)
    for name, entry in sorted(entries.items(), key=lambda pair: (pair[0] not in apart, pair[0])):
        if entry.distances is not None:
            sized[len(entry.distances)].append(name)
    for several in sized.values():
        table = np.stack([far for name in several if (far := entries[name].distances) is not None])
        new = range(sum(name in apart for name in several), len(several))
        for row in reversed(new):  # the longest first: each needs no more memory than the one before has given back
            name, own, rest = several[row], table[row], table[:row]
            larger = np.maximum(own, rest)
            alike = (np.abs(own - rest) <= _ALIKE * larger) & (larger > 0)
            for other in np.flatnonzero(alike.sum(axis=1) > _MANY * (larger > 0).sum(axis=1)):
                pair = entries[name], entries[several[other]]
                if not (kin(pair[0].authors, pair[1].authors) or _descends(*pair)):
                    found[name].append(several[other])
                    found[several[other]].append(name)
    for others in found.values():
        others.sort()
    return found


def disguised(first: Neighbour, second: Neighbour) -> bool:
    """Tell whether two entries of different people are one network, as with its channels in another order."""
    several = {"first": first, "second": second}
    return bool(_disguised(several)["first"])


def _descends(first: Neighbour, second: Neighbour) -> bool:
    return first.parent_weights == second.weights or second.parent_weights == first.weights


def _orphan(entry: Neighbour, parents: Iterable[Neighbour]) -> Iterator[str]:
    if entry.parent_file is not None and not any(parent.file for parent in parents):
        yield (
            f"{RESULT_FILE}: the dense parent {entry.parent_file!r} is a file with weights "
            f"{(entry.parent_weights or 'unknown')[:12]}… and has no entry beside this one that says where they lie; "
            "hand in its own run first, in a pull request before this one."
        )


def _read(entries: Mapping[str, Neighbour], heirs: Mapping[str, list[str]]) -> dict[str, str]:
    """Return the digests that points decoded to, each with one entry: where verifiers read them; else of every entry.

    Entries that were superseded or withdrawn say nothing without a verifier.
    """
    there = [(entry.pixels, name) for name, entry in sorted(entries.items()) if entry.pixels is not None]
    signed = {pixels: name for pixels, name in there if entries[name].vouched}
    return signed or {pixels: name for pixels, name in there if name not in heirs}


def _pixels(entry: Neighbour, read: Mapping[str, str], entries: Mapping[str, Neighbour]) -> Iterator[str]:
    others = [name for pixels, name in read.items() if pixels != entry.pixels]
    if entry.pixels is not None and others:
        signed = "a verifier measured again" if entries[others[0]].vouched else "nobody has measured again yet"
        yield (
            f"{RESULT_FILE}: data.digest is {entry.pixels}, but {others[0]}, which {signed}, has "
            f"{entries[others[0]].pixels}; the rules pin the official files, which decode alike everywhere: measure "
            "again from them with the Pillow of requirements.lock."
        )


def _copies(name: str, what: str, alike: list[str], entries: Mapping[str, Neighbour]) -> Iterator[str]:
    own = _line(name, entries) if len(alike) > 1 else []
    others = [other for other in alike if other not in own and name not in _line(other, entries)]
    if others:
        yield (
            f"{RESULT_FILE}: {what} of {', '.join(others[:3])}; a network stands on a board once and a new "
            "measurement of it supersedes the old one."
        )


def _line(name: str, entries: Mapping[str, Neighbour]) -> list[str]:
    """Return an entry and all that it replaces, newest first."""
    found: list[str] = []
    at: str | None = name
    while at is not None and at in entries and at not in found:
        found.append(at)
        at = entries[at].supersedes
    return found

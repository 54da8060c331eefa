"""challenge-NAME.npz and .json: a stranger's witnesses against an entry, and a verifier's word that they count."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.errors import SubmissionError
from bench.submission.arrays import Header, read_arrays
from bench.submission.fields import Count, Exact, Frozen, Line, Sha256, Slug, Words
from bench.submission.files import MOST_BYTES, RESULT_FILE, WITNESS_BYTES, dump, parse, sha256
from bench.submission.people import tomorrow
from bench.submission.points import PointTable
from bench.submission.regular import content
from bench.submission.schema import MOST_POINTS, ProtocolStamp, Result, Submission, Term
from bench.submission.standing import best_known
from bench.submission.verifiers import Signed, listed, signer
from bench.threats import Norm

NAME = re.compile(r"challenge-(?P<name>[a-z0-9][a-z0-9-]{0,39})\.(?P<kind>npz|json)")
"""Files of challenges; the name is the challenger's to choose."""
MOST = 16
"""Challenges that may lie beside an entry."""
_DECODED = 64 * 2**20
_AXES = 4


class FallenRecord(Frozen):
    """Which points fell under one threat model."""

    norm: Norm
    epsilon: Exact
    fallen: Annotated[tuple[Count, ...], Field(min_length=1, max_length=MOST_POINTS)]
    """Ids, in order, of points that stand in the submission and have a witness within the radius here."""


class Challenge(Signed):
    """challenge-NAME.json: what a verifier found of the witnesses beside it, by forward passes."""

    schema_: Annotated[Literal["bench.challenge/1"], Field(alias="schema")]
    name: Slug
    """As in the names of the files."""
    entry: Slug
    result_sha256: Sha256
    """Of the result.json that is challenged."""
    weights_sha256: Sha256
    """Over the tensors that the witnesses fooled."""
    witnesses_sha256: Sha256
    """Of challenge-NAME.npz."""
    protocol: ProtocolStamp
    threats: Annotated[tuple[FallenRecord, ...], Field(min_length=1, max_length=16)]
    environment: Annotated[dict[Term, Line], Field(min_length=1, max_length=64)]
    says: Words = ""


def read_witnesses(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays ``id`` (int64, N) and ``image`` (float32, NCHW, in [0, 1]) of a challenge.

    Raises:
        SubmissionError: if it holds anything else.
    """
    arrays = read_arrays(path, packed=WITNESS_BYTES, decoded=_DECODED, judge=_judge)
    images = arrays["image"]
    if not np.isfinite(images).all() or not ((images >= 0) & (images <= 1)).all():
        raise SubmissionError(f"{path.name}: it holds pixels outside [0, 1].")
    return arrays


def _judge(headers: Mapping[str, Header]) -> Iterator[str]:
    if set(headers) != {"id", "image"}:
        yield f"expected the arrays id and image, got {', '.join(sorted(headers)[:20]) or 'none'}"
        return
    ids, images = headers["id"], headers["image"]
    if ids.dtype != np.int64 or images.dtype != np.float32:
        yield f"expected int64 ids and float32 images, got {ids.dtype} and {images.dtype}"
    if len(images.shape) != _AXES or ids.shape != images.shape[:1] or not ids.shape[0]:
        yield f"images {images.shape} and ids {ids.shape} do not fit"


def challenges(folder: Path, names: Iterable[str]) -> tuple[list[Challenge], list[str]]:
    """Return the signed challenges in a folder, and what is wrong with their files, whatever they say.

    Witnesses that nobody has signed for are none of the two: they wait, and count for nothing.
    """
    found: list[Challenge] = []
    wrong: list[str] = []
    there = {place["name"]: set[str]() for name in names if (place := NAME.fullmatch(name))}
    for name in names:
        if place := NAME.fullmatch(name):
            there[place["name"]].add(place["kind"])
    if len(there) > MOST:
        return found, [f"{len(there)} challenges lie there, at most {MOST} are read."]
    for name, kinds in sorted(there.items()):
        if "npz" not in kinds:
            wrong.append(f"challenge-{name}.json: challenge-{name}.npz, its witnesses, is missing.")
            continue
        try:
            read_witnesses(folder / f"challenge-{name}.npz")
            if "json" in kinds:
                found.append(_signed(folder, name))
        except SubmissionError as error:
            wrong.append(str(error))
    return found, wrong


def _signed(folder: Path, name: str) -> Challenge:
    path = folder / f"challenge-{name}.json"
    written = content(path, MOST_BYTES[RESULT_FILE])
    found = parse(Challenge, written, path.name)
    if written != dump(found):
        raise SubmissionError(f"{path.name}: not as the benchmark writes it; it is never edited by hand.")
    digest = hashlib.sha256(content(path.with_suffix(".npz"), WITNESS_BYTES)).hexdigest()
    if (found.name, found.witnesses_sha256) != (name, digest):
        raise SubmissionError(f"{path.name}: it speaks of other witnesses than those beside it.")
    return found


def challenge_problems(
    found: Challenge, submission: Submission, result: Result, points: PointTable, digest: str
) -> Iterator[str]:
    """Yield one sentence for whatever keeps a challenge from counting against an entry."""
    where = f"challenge-{found.name}.json"
    expected = {
        "entry": (found.entry, submission.id),
        "result_sha256": (found.result_sha256, digest),
        "weights_sha256": (found.weights_sha256, result.model.weights_sha256),
        "protocol": (found.protocol, ProtocolStamp(name=result.protocol.name, digest=result.protocol.digest)),
    }
    for key, (got, wanted) in expected.items():
        if got != wanted:
            yield f"{where}: {key} is {str(got)!r}, expected {str(wanted)!r}; a challenge speaks of one entry alone."
    if not submission.date <= found.date <= tomorrow():
        yield f"{where}: dated {found.date}, before the submission or in the future."
    try:
        signer(found, listed())
    except (SubmissionError, ValueError) as error:
        yield f"{where}: {error}; only what a listed verifier signed lowers an entry."
    measured = {(threat.norm, threat.epsilon) for threat in result.threats}
    standing = best_known(result, points)
    for threat in found.threats:
        if (threat.norm, threat.epsilon) not in measured:
            yield f"{where}: {threat.norm} {threat.epsilon} is no threat model of the result."
            continue
        stands = set(points.id[standing[threat.norm].points].tolist())
        if list(threat.fallen) != sorted(set(threat.fallen)) or not set(threat.fallen) <= stands:
            yield f"{where}: threats.{threat.norm} names points, each once and in order, that do not stand."


def record(
    place: Path, name: str, submission: Submission, result: Result, fallen: Mapping[Norm, Iterable[int]], **said: Any
) -> Challenge:
    """Return what a verifier found of ``challenge-NAME.npz`` in an entry's folder, unsigned.

    ``said`` are ``by``, ``date``, ``environment`` and ``says``.
    """
    threats = tuple(
        FallenRecord(norm=threat.norm, epsilon=threat.epsilon, fallen=ids)
        for threat in result.threats
        if (ids := tuple(sorted(fallen.get(threat.norm, ()))))
    )
    return Challenge(
        schema_="bench.challenge/1",
        name=name,
        entry=submission.id,
        result_sha256=sha256((place / RESULT_FILE).read_bytes()),
        weights_sha256=result.model.weights_sha256,
        witnesses_sha256=sha256((place / f"challenge-{name}.npz").read_bytes()),
        protocol=ProtocolStamp(name=result.protocol.name, digest=result.protocol.digest),
        threats=threats,
        **said,
    )

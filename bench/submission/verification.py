"""verification.json: what a listed verifier measured again, and what of it a check can hold against the entry."""

import hashlib
from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from bench.errors import SubmissionError
from bench.submission.fields import Count, Exact, Frozen, Line, Positive, Sha256, Slug, Words
from bench.submission.files import VERIFICATION_FILE
from bench.submission.people import tomorrow
from bench.submission.points import Bits, PointTable
from bench.submission.schema import MOST_POINTS, ProtocolStamp, Result, Submission, Term, VerificationLevel
from bench.submission.standing import best_known
from bench.submission.verifiers import Signed, listed, same, signer
from bench.threats import Norm

GIVEN = (VerificationLevel.CHECKED, VerificationLevel.RE_RUN, VerificationLevel.REPRODUCED)
"""Levels that a verifier gives."""
_HELD_OUT = "held-out"
"""The check whose flag has no figure where its points were missing."""
Ids = Annotated[tuple[Count, ...], Field(max_length=MOST_POINTS)]


class AgainRecord(Frozen):
    """How the verifier's own run stands under one threat model, point by point."""

    norm: Norm
    epsilon: Exact
    best_known: Count
    """Points without a verified witness in the verifier's run."""
    verdicts_sha256: Sha256
    """Over one bit per point, in the order of ids, most significant first: whether it stands in that run."""
    fallen: Ids = ()
    """Ids of points that stand in the submission and fell again; boards no longer count them."""
    stood: Ids = ()
    """Ids of points that fell in the submission and stood again; their witnesses lie in the submission."""


class Verification(Signed):
    """verification.json: written and signed by whoever measured again."""

    schema_: Annotated[Literal["bench.verification/2"], Field(alias="schema")]
    entry: Slug
    level: VerificationLevel
    result_sha256: Sha256
    """Of the result.json that was verified."""
    weights_sha256: Sha256
    """Over the tensors that the verifier attacked."""
    protocol: ProtocolStamp
    points: Positive
    correct: Count
    """In the verifier's run."""
    threats: Annotated[tuple[AgainRecord, ...], Field(min_length=1, max_length=16)]
    environment: Annotated[dict[Term, Line], Field(min_length=1, max_length=64)]
    """Of the verifier's run."""
    says: Words = ""


def verdicts(standing: Bits) -> str:
    """Return the digest of one bit per point, given in the order of ids."""
    return hashlib.sha256(np.packbits(standing).tobytes()).hexdigest()


def verification_problems(
    found: Verification, submission: Submission, result: Result, points: PointTable, digest: str
) -> Iterator[str]:
    """Yield one sentence for whatever keeps a verification from counting for an entry.

    Args:
        found: the verification.
        submission: what the entry's people say.
        result: what they measured.
        points: likewise, point by point.
        digest: sha256 of the entry's result.json as it lies there.
    """
    where = VERIFICATION_FILE
    expected = {
        "entry": (found.entry, submission.id),
        "result_sha256": (found.result_sha256, digest),
        "weights_sha256": (found.weights_sha256, result.model.weights_sha256),
        "protocol.name": (found.protocol.name, result.protocol.name),
        "protocol.digest": (found.protocol.digest, result.protocol.digest),
        "protocol.preset": (found.protocol.preset, "standard"),
        "points": (found.points, result.data.points),
    }
    for key, (got, wanted) in expected.items():
        if got != wanted:
            yield f"{where}: {key} is {got!r}, expected {wanted!r}; a verification speaks of one entry alone."
    if found.level not in GIVEN:
        yield f"{where}: level is {found.level}, expected one of {', '.join(GIVEN)}."
    if found.level.ranked and any(flag.check == _HELD_OUT and flag.figure is None for flag in result.flags):
        yield (
            f"{where}: level is {found.level}, but the points that the rules hold out were not at hand when this was "
            "measured; place them where `bench evaluate` with --dry-run says, and run it again."
        )
    if found.date > tomorrow():
        yield f"{where}: dated {found.date}, which is in the future."
    if found.date < submission.date:
        yield f"{where}: dated {found.date}, before the submission of {submission.date}."
    yield from _signature(found, submission)
    yield from _counts(found, result, points)


def _signature(found: Verification, submission: Submission) -> Iterator[str]:
    if any(same(found.by, author) for author in submission.authors):
        yield f"{VERIFICATION_FILE}: {found.by!r} is an author of the entry; somebody else has to measure it again."
    try:
        signer(found, listed())
    except (SubmissionError, ValueError) as error:
        yield f"{VERIFICATION_FILE}: {error}; only what a listed verifier signed lifts an entry."


def _counts(found: Verification, result: Result, points: PointTable) -> Iterator[str]:
    if found.correct > found.points:
        yield f"{VERIFICATION_FILE}: {found.correct} of {found.points} points cannot be correct."
    claimed = best_known(result, points)
    wanted = [(threat.norm, threat.epsilon) for threat in result.threats]
    if (got := [(threat.norm, threat.epsilon) for threat in found.threats]) != wanted:
        names = [", ".join(f"{norm} {epsilon}" for norm, epsilon in several) for several in (wanted, got)]
        yield f"{VERIFICATION_FILE}: threats are {names[1]}, expected those of the result, {names[0]}."
        return
    rows = points.id.argsort()
    for threat in found.threats:
        yield from _threat(threat, points.id[rows], claimed[threat.norm].points[rows])


def _threat(threat: AgainRecord, ids: np.ndarray, stands: Bits) -> Iterator[str]:
    where = f"{VERIFICATION_FILE}: threats.{threat.norm}"
    for name, of, there in (("fallen", threat.fallen, ids[stands]), ("stood", threat.stood, ids[~stands])):
        if list(of) != sorted(set(of)) or not set(of) <= set(there.tolist()):
            yield f"{where}.{name} names points, each once and in order, that the submission does not have like that."
            return
    again = (stands & ~np.isin(ids, threat.fallen)) | np.isin(ids, threat.stood)
    if int(again.sum()) != threat.best_known or verdicts(again) != threat.verdicts_sha256:
        yield (
            f"{where}: {threat.best_known} points with verdicts {threat.verdicts_sha256[:12]}… are claimed, but its "
            f"fallen and stood points leave {int(again.sum())} with {verdicts(again)[:12]}…."
        )

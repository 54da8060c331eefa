"""Every problem of a submission folder at once; a folder without one may be published."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from numpy.typing import NDArray

from bench.errors import SubmissionError
from bench.submission.agreement import judge_witnesses, point_problems, witness_problems
from bench.submission.arrays import read_arrays
from bench.submission.coherence import result_problems
from bench.submission.files import (
    MOST_BYTES,
    POINTS_FILE,
    RESULT_FILE,
    SUBMISSION_FILE,
    VERIFICATION_FILE,
    WITNESSES_FILE,
    dump,
    parse,
    read_submission,
    sha256,
)
from bench.submission.links import PINNED, https, pinned
from bench.submission.literature import examine_literature
from bench.submission.points import PointTable, read_points
from bench.submission.regular import content
from bench.submission.relations import neighbours, relation_problems
from bench.submission.schema import Result, Submission, Verification, VerificationLevel

WITNESS_BYTES = 4 * 2**20
"""Bytes of witnesses that may lie in the repository; larger ones are pinned like weights."""
WORDS = 40_000
"""Bytes that the words and figures of the records may take compressed; a page has to carry them."""
_DECODED = 64 * 2**20
_FILES = (SUBMISSION_FILE, RESULT_FILE, POINTS_FILE, WITNESSES_FILE, VERIFICATION_FILE)
_LISTED = 10
"""Strange files that are named one by one."""
RESERVED = frozenset({
    "board", "caption", "controls", "copy", "count", "figures", "index", "main", "rules", "tools",
    "aux", "con", "nul", "prn", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)),
})  # fmt: skip
"""Ids that an entry cannot have: anchors of a board's own page, and names that Windows keeps for devices."""
_VERIFIED = (VerificationLevel.CHECKED, VerificationLevel.RE_RUN, VerificationLevel.REPRODUCED)
_HELD_OUT = "held-out"
"""The check whose flag has no figure where its points were missing."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Folder:
    """A submission as read from its folder."""

    submission: Submission
    result: Result
    points: PointTable
    verification: Verification | None


def problems(folder: Path) -> list[str]:
    """Return one sentence per problem of a submission's folder, or of a file of quoted figures."""
    return next(survey([folder]))


def survey(folders: Sequence[Path]) -> Iterator[list[str]]:
    """Yield the problems of each folder in turn, those with the entries beside it included."""
    related: dict[Path, dict[str, list[str]]] = {}
    for folder in folders:
        try:
            found = _all_problems(folder, related)
        except Exception as error:  # noqa: BLE001 - whatever one folder makes the check do, the others are checked too
            found = [
                f"the check itself failed here ({type(error).__name__}: {error}); please report it with the folder."
            ]
        yield found


def _all_problems(folder: Path, related: dict[Path, dict[str, list[str]]]) -> list[str]:
    if folder.suffix == ".toml" and not folder.is_dir():
        return examine_literature(folder)[1]
    found, wrong = examine(folder)
    if found is None:
        return wrong
    place = folder.resolve()
    if place.parent not in related:
        related[place.parent] = relation_problems(neighbours(place.parent))
    return wrong + related[place.parent].get(place.name, [])


def examine(folder: Path) -> tuple[Folder | None, list[str]]:
    """Return what a folder holds and every problem of it; nothing in place of a folder that cannot be read."""
    if folder.is_symlink():
        return None, [f"{str(folder)!r} is a symbolic link; expected a folder that holds {SUBMISSION_FILE}."]
    try:
        there = sorted(path.name for path in folder.iterdir())
    except NotADirectoryError:
        return None, [f"{str(folder)!r} is no folder; expected one that holds {SUBMISSION_FILE}."]
    except OSError as error:
        why = error.strerror or str(error)
        return None, [f"{str(folder)!r} is no folder to read ({why}); expected one that holds {SUBMISSION_FILE}."]
    found = list(_strangers(there))

    def read(name: str, reader: Callable[[Path], _T]) -> _T | None:
        try:
            return reader(folder / name)
        except SubmissionError as error:
            found.append(str(error))
            return None

    submission = read(SUBMISSION_FILE, read_submission)
    written, result = read(RESULT_FILE, _machine) or (b"", None)
    points = read(POINTS_FILE, read_points)
    witnesses = read(WITNESSES_FILE, _witnesses) if WITNESSES_FILE in there else None
    verification = read(VERIFICATION_FILE, _verification) if VERIFICATION_FILE in there else None
    if submission is not None:
        found += _people(submission, folder.resolve().name, result)
    found += _weight([dump(record) for record in (submission, result, verification) if record is not None])
    if result is not None:
        found += result_problems(result, written)
        found += point_problems(result, points) if points is not None else []
        found += _verified(verification, submission, result, sha256(written)) if verification else []
    if points is not None and witnesses is not None:
        found += witness_problems(points, witnesses)
    if submission is None or result is None or points is None:
        return None, found
    return Folder(submission, result, points, verification), found


def _strangers(there: list[str]) -> Iterator[str]:
    strange = [name for name in there if name not in _FILES]
    for name in strange[:_LISTED]:
        yield f"{name[:120]!r} does not belong into a submission, which holds {', '.join(_FILES)} alone; remove it."
    if len(strange) > _LISTED:
        yield f"{len(strange) - _LISTED} more names do not belong into a submission; remove them."


def _witnesses(path: Path) -> dict[str, NDArray[Any]]:
    return read_arrays(path, packed=WITNESS_BYTES, decoded=_DECODED, judge=judge_witnesses)


def _machine(path: Path) -> tuple[bytes, Result]:
    written = content(path, MOST_BYTES[path.name])
    return written, parse(Result, written, path.name)


def _verification(path: Path) -> Verification:
    written = content(path, MOST_BYTES[path.name])
    found = parse(Verification, written, path.name)
    if written != dump(found):
        raise SubmissionError(f"{path.name}: not as the benchmark writes it; it is never edited by hand.")
    return found


def _people(submission: Submission, folder: str, result: Result | None) -> Iterator[str]:
    if submission.id != folder:
        yield f"{SUBMISSION_FILE}: id is {submission.id!r}, expected the name of its folder, {folder!r}."
    if submission.id in RESERVED or submission.id.startswith("fig-") or submission.id.endswith("."):
        yield f"{SUBMISSION_FILE}: the id {submission.id!r} is kept for the site's own pages; choose another."
    if submission.supersedes == submission.id:
        yield f"{SUBMISSION_FILE}: {submission.id!r} cannot supersede itself."
    if not submission.authors:
        yield f"{SUBMISSION_FILE}: authors is empty; name at least one."
    yield from _located(submission.weights.locator)
    if result is not None:
        known = {result.model.weights_sha256, result.model.file_sha256}
        if submission.weights.sha256 not in known:
            yield (
                f"{SUBMISSION_FILE}: weights.sha256 is {submission.weights.sha256}, but {RESULT_FILE} was measured on "
                f"{result.model.weights_sha256}."
            )


def _weight(records: list[bytes]) -> Iterator[str]:
    weight = len(zlib.compress(b"".join(records), 9))
    if weight > WORDS:
        yield f"the records hold {weight} bytes when compressed, at most {WORDS}; say it in fewer words and layers."


def _located(locator: str) -> Iterator[str]:
    if "://" not in locator:
        return
    try:
        if not pinned(https(locator)):
            yield f"{SUBMISSION_FILE}: weights.locator {locator!r} is not pinned; expected {PINNED}."
    except ValueError as error:
        yield f"{SUBMISSION_FILE}: weights.locator {error}."


def _verified(verification: Verification, submission: Submission | None, result: Result, digest: str) -> Iterator[str]:
    if verification.result_sha256 != digest:
        yield f"{VERIFICATION_FILE}: verifies {verification.result_sha256}, {RESULT_FILE} has sha256 {digest}."
    if verification.level not in _VERIFIED:
        yield f"{VERIFICATION_FILE}: level is {verification.level}, expected one of {', '.join(_VERIFIED)}."
    if verification.level.ranked and any(flag.check == _HELD_OUT and flag.figure is None for flag in result.flags):
        yield (
            f"{VERIFICATION_FILE}: level is {verification.level}, but the points that the rules hold out were not at "
            "hand when this was measured; place them where `bench evaluate` with --dry-run says, and run it again."
        )
    if submission is not None and verification.date < submission.date:
        yield f"{VERIFICATION_FILE}: dated {verification.date}, before the submission of {submission.date}."

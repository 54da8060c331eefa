"""Every problem of a submission folder at once; a folder without one may be published."""

import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np

from bench.errors import SubmissionError
from bench.submission.agreement import judge_witnesses, point_problems, witness_problems
from bench.submission.arrays import opened_arrays
from bench.submission.carried import carried_problems
from bench.submission.challenge import NAME as CHALLENGE
from bench.submission.challenge import Challenge, challenge_problems, challenges
from bench.submission.coherence import result_problems
from bench.submission.files import (
    MOST_BYTES,
    POINTS_FILE,
    RESULT_FILE,
    SUBMISSION_FILE,
    VERIFICATION_FILE,
    WEIGHTS_FILE,
    WITHDRAWAL_FILE,
    WITNESS_BYTES,
    WITNESSES_FILE,
    dump,
    parse,
    read_submission,
    read_toml,
    sha256,
)
from bench.submission.literature import examine_literature
from bench.submission.people import people_problems
from bench.submission.points import Bits, PointTable, read_points
from bench.submission.regular import content
from bench.submission.relations import Neighbour, neighbour, neighbours, relation_problems
from bench.submission.sample import sampled
from bench.submission.schema import Result, Submission
from bench.submission.standing import best_known
from bench.submission.verification import Verification, verification_problems
from bench.submission.withdrawal import Withdrawal, withdrawal_problems
from bench.threats import Norm

WORDS = 40_000
"""Bytes that the words and figures of the records may take compressed; a page has to carry them."""
_DECODED = 64 * 2**20
_FILES = (
    SUBMISSION_FILE, RESULT_FILE, POINTS_FILE, WITNESSES_FILE, WEIGHTS_FILE, VERIFICATION_FILE, WITHDRAWAL_FILE,
)  # fmt: skip
_LISTED = 10
"""Strange files that are named one by one."""
_FOLDERS = 20
"""Folders that one message names."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Folder:
    """A submission as read from its folder."""

    submission: Submission
    result: Result
    points: PointTable
    verification: Verification | None
    challenges: tuple[Challenge, ...] = ()
    """Those that a listed verifier signed."""
    withdrawal: Withdrawal | None = None

    @property
    def neighbour(self) -> Neighbour:
        """What the entries beside it need to know; of one without a problem."""
        vouched, withdrawn = self.verification is not None, self.withdrawal is not None
        return neighbour(self.submission, self.result, self.points, vouched=vouched, withdrawn=withdrawn)

    @property
    def signed(self) -> list[Challenge | Verification]:
        """What verifiers signed of its network."""
        return [*self.challenges, *([self.verification] if self.verification else [])]

    def older(self, beside: Mapping[str, "Folder"]) -> tuple["Folder", ...]:
        """Return the entries of the same weights that this one replaces, newest first.

        Measuring a network again makes no witness undone, so what was signed of them counts for it, too.
        """
        found, at = list[Folder](), self
        while (before := beside.get(at.submission.supersedes or "")) is not None:
            found += [before] if before.result.model.weights_sha256 == self.result.model.weights_sha256 else []
            at = before
        return tuple(found)

    def standing(self, also: Iterable[Challenge | Verification] = ()) -> dict[Norm, Bits]:
        """Return which points stand under each threat model, as best known to anyone, in the order of ids.

        ``also`` was signed of the same network elsewhere.
        """
        rows, spoken = self.points.id.argsort(), [*self.signed, *also]
        return {
            norm: found.points[rows] & ~np.isin(self.points.id[rows], [*chain(*(one.fallen(norm) for one in spoken))])
            for norm, found in best_known(self.result, self.points).items()
        }


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


def examine(folder: Path, known: PointTable | None = None) -> tuple[Folder | None, list[str]]:
    """Return what a folder holds and every problem of it; nothing in place of a folder that cannot be read.

    ``known`` is what its points held when these very files were examined before and had no problem: the others are read
    again, and nothing is held to anything.
    """
    try:
        there = _names(folder)
    except SubmissionError as error:
        return None, [str(error)]
    found = list(_strangers(there))

    def read(name: str, reader: Callable[[Path], _T]) -> _T | None:
        try:
            return reader(folder / name)
        except SubmissionError as error:
            found.append(str(error))
            return None

    submission = read(SUBMISSION_FILE, read_submission)
    written, result = read(RESULT_FILE, _machine) or (b"", None)
    points = known if known is not None else read(POINTS_FILE, read_points)
    found += [] if known is not None else read(WITNESSES_FILE, partial(_witnesses, points=points)) or []
    verification = (
        read(VERIFICATION_FILE, partial(_verification, sound=known is not None)) if VERIFICATION_FILE in there else None
    )
    withdrawal = read(WITHDRAWAL_FILE, partial(read_toml, Withdrawal)) if WITHDRAWAL_FILE in there else None
    signed, wrong = challenges(folder, there)
    found += wrong
    if known is not None and submission is not None and result is not None and points is not None:
        return Folder(submission, result, points, verification, tuple(signed), withdrawal), found
    if submission is not None:
        found += people_problems(submission, folder.resolve().name, result)
    found += carried_problems(folder, there, submission, result)
    found += _weight([dump(record) for record in (submission, result, verification, withdrawal) if record is not None])
    if result is not None:
        found += result_problems(result, written)
        if (place := folder.resolve().parent.name) != result.protocol.name:
            found.append(
                f"lies in the folder {place!r}, but was measured under {result.protocol.name!r}, whose entries lie in "
                f"submissions/{result.protocol.name}."
            )
    if result is None or points is None:
        return None, found
    found += point_problems(result, points)
    if submission is None:
        return None, found
    made = Folder(submission, result, points, verification, tuple(signed), withdrawal)
    return made, found + list(_lifted(made, sha256(written)))


def _lifted(folder: Folder, digest: str) -> Iterator[str]:
    """Yield why what lifts, lowers or withdraws an entry does not count."""
    spoken = folder.submission, folder.result, folder.points, digest
    if folder.verification is not None:
        yield from verification_problems(folder.verification, *spoken)
    for challenge in folder.challenges:
        yield from challenge_problems(challenge, *spoken)
    if folder.withdrawal is not None:
        yield from withdrawal_problems(folder.withdrawal, folder.submission)


def refuse(submissions: Path, found: dict[str, list[str]]) -> None:
    """Name every folder at fault, with its first problem.

    Raises:
        SubmissionError: if there is one.
    """
    lines = [
        f"{name}: {problems[0]}" + (f" And {len(problems) - 1} more." if len(problems) > 1 else "")
        for name, problems in found.items()
    ]
    if lines:
        told = (
            f"{sum(map(len, found.values()))} problems in {str(submissions)!r}; bench submission check names them all:"
        )
        rest = [f"and {len(lines) - _FOLDERS} folders more."] if len(lines) > _FOLDERS else []
        raise SubmissionError("\n".join([told, *lines[:_FOLDERS], *rest]))


def _names(folder: Path) -> list[str]:
    expected = f"expected one that holds {SUBMISSION_FILE}"
    if folder.is_symlink():
        raise SubmissionError(f"{str(folder)!r} is a symbolic link; expected a folder that holds {SUBMISSION_FILE}.")
    try:
        there = sorted(path.name for path in folder.iterdir())
    except NotADirectoryError:
        raise SubmissionError(f"{str(folder)!r} is no folder; {expected}.") from None
    except OSError as error:
        why = error.strerror or str(error)
        raise SubmissionError(f"{str(folder)!r} is no folder to read ({why}); {expected}.") from None
    if (entry := _entry_below(folder, there)) is not None:
        raise SubmissionError(
            f"is a folder of entries and no entry; name those that it holds, such as {str(entry)!r}, or all of them: "
            f"{folder}{'/*' * len(entry.relative_to(folder).parts)}"
        )
    return there


def _entry_below(folder: Path, there: list[str]) -> Path | None:
    """Return the first entry that lies in a folder, or in folders of it, which itself holds nothing of an entry."""
    if set(there) & set(_FILES):
        return None
    for pattern in (f"*/{RESULT_FILE}", f"*/*/{RESULT_FILE}"):
        if found := min(folder.glob(pattern), default=None):
            return found.parent
    return None


def _strangers(there: list[str]) -> Iterator[str]:
    strange = [name for name in there if name not in _FILES and not CHALLENGE.fullmatch(name)]
    for name in strange[:_LISTED]:
        yield f"{name[:120]!r} does not belong into a submission, which holds {', '.join(_FILES)} alone; remove it."
    if len(strange) > _LISTED:
        yield f"{len(strange) - _LISTED} more names do not belong into a submission; remove them."


def _witnesses(path: Path, points: PointTable | None) -> list[str]:
    with opened_arrays(path, packed=WITNESS_BYTES, decoded=_DECODED, judge=judge_witnesses) as stored:
        if points is not None:
            held = sampled(points.id, stored.headers[f"image_{Norm.LINF}"].shape[1:])
            return list(witness_problems(points, stored, held))
        for name in stored.headers:  # what is damaged is said even where nothing can be held against it
            deque(stored.parts(name), maxlen=0)
    return []


def _machine(path: Path) -> tuple[bytes, Result]:
    written = content(path, MOST_BYTES[path.name])
    return written, parse(Result, written, path.name)


def _verification(path: Path, *, sound: bool) -> Verification:
    written = content(path, MOST_BYTES[path.name])
    found = parse(Verification, written, path.name)
    if not sound and written != dump(found):
        raise SubmissionError(f"{path.name}: not as the benchmark writes it; it is never edited by hand.")
    return found


def _weight(records: list[bytes]) -> Iterator[str]:
    weight = len(zlib.compress(b"".join(records), 9))
    if weight > WORDS:
        yield f"the records hold {weight} bytes when compressed, at most {WORDS}; say it in fewer words and layers."

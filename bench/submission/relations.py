"""Whether an entry speaks of itself alone: it replaces only what is its authors' own, and is nobody else's network."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from bench.errors import SubmissionError
from bench.submission.files import RESULT_FILE, SUBMISSION_FILE, read_result, read_submission
from bench.submission.schema import Result, Submission


class Neighbour(NamedTuple):
    """What the entries beside an entry need to know of it."""

    authors: frozenset[str]
    supersedes: str | None
    weights: str
    """Digest of the tensors that were attacked."""


def neighbour(submission: Submission, result: Result) -> Neighbour:
    """Return what others need to know of an entry."""
    return Neighbour(frozenset(submission.authors), submission.supersedes, result.model.weights_sha256)


def neighbours(folder: Path) -> dict[str, Neighbour]:
    """Return the entries of a protocol's folder that can be read; what is wrong with the others is said elsewhere."""
    found = {}
    try:
        places = sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError:
        return {}
    for place in places:
        try:
            submission = read_submission(place / SUBMISSION_FILE)
            found[place.name] = neighbour(submission, read_result(place / RESULT_FILE))
        except SubmissionError:
            continue
    return found


def relation_problems(identity: str, entries: Mapping[str, Neighbour]) -> Iterator[str]:
    """Yield one sentence per claim of an entry on another one of the same protocol."""
    own = entries[identity]
    if own.supersedes is not None:
        yield from _succession(identity, own.supersedes, entries)
    line = set(_line(identity, entries))
    for name, other in sorted(entries.items()):
        if other.weights == own.weights and name not in line and identity not in set(_line(name, entries)):
            yield (
                f"{RESULT_FILE}: model.weights_sha256 is that of {name!r}; a network stands on a board once, a new "
                "measurement of it supersedes the old one."
            )


def _succession(identity: str, before: str, entries: Mapping[str, Neighbour]) -> Iterator[str]:
    if before not in entries:
        yield f"{SUBMISSION_FILE}: supersedes {before!r}, but no such entry stands beside it."
        return
    if not entries[before].authors & entries[identity].authors:
        yield (
            f"{SUBMISSION_FILE}: supersedes {before!r} of {', '.join(sorted(entries[before].authors))}; only who is an "
            "author of both can replace it."
        )
    rivals = [name for name, other in sorted(entries.items()) if other.supersedes == before and name != identity]
    if rivals:
        yield f"{SUBMISSION_FILE}: supersedes {before!r}, which is superseded already, by {', '.join(rivals)}."
    if before != identity and identity in _line(before, entries):
        yield f"{SUBMISSION_FILE}: supersedes {before!r}, which supersedes it in turn."


def _line(identity: str, entries: Mapping[str, Neighbour]) -> list[str]:
    """Return an entry and all that it replaces, newest first."""
    found: list[str] = []
    at: str | None = identity
    while at is not None and at in entries and at not in found:
        found.append(at)
        at = entries[at].supersedes
    return found

"""Whether an entry speaks of itself alone: it replaces only what is its authors' own, and is nobody else's network."""

from collections import defaultdict
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


def relation_problems(entries: Mapping[str, Neighbour]) -> dict[str, list[str]]:
    """Return, for each entry of one protocol, one sentence per claim on another one that it has no right to."""
    heirs: defaultdict[str, list[str]] = defaultdict(list)
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for name, entry in sorted(entries.items()):
        alike[entry.weights].append(name)
        if entry.supersedes is not None:
            heirs[entry.supersedes].append(name)
    return {
        name: [*_succession(name, entries, heirs), *_copies(name, alike[entry.weights], entries)]
        for name, entry in entries.items()
    }


def _succession(name: str, entries: Mapping[str, Neighbour], heirs: Mapping[str, list[str]]) -> Iterator[str]:
    before = entries[name].supersedes
    if before is None:
        return
    if before not in entries:
        yield f"{SUBMISSION_FILE}: supersedes {before!r}, but no such entry stands beside it."
        return
    if not entries[before].authors & entries[name].authors:
        yield (
            f"{SUBMISSION_FILE}: supersedes {before!r} of {', '.join(sorted(entries[before].authors))}; only who is an "
            "author of both can replace it."
        )
    if rivals := [heir for heir in heirs[before] if heir != name]:
        yield f"{SUBMISSION_FILE}: supersedes {before!r}, which is superseded already, by {', '.join(rivals)}."
    if before != name and name in _line(before, entries):
        yield f"{SUBMISSION_FILE}: supersedes {before!r}, which supersedes it in turn."


def _copies(name: str, alike: list[str], entries: Mapping[str, Neighbour]) -> Iterator[str]:
    own = _line(name, entries) if len(alike) > 1 else []
    others = [other for other in alike if other not in own and name not in _line(other, entries)]
    if others:
        yield (
            f"{RESULT_FILE}: model.weights_sha256 is that of {', '.join(others[:3])}; a network stands on a board once "
            "and a new measurement of it supersedes the old one."
        )


def _line(name: str, entries: Mapping[str, Neighbour]) -> list[str]:
    """Return an entry and all that it replaces, newest first."""
    found: list[str] = []
    at: str | None = name
    while at is not None and at in entries and at not in found:
        found.append(at)
        at = entries[at].supersedes
    return found

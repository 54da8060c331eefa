"""What a pull request with a submission may change: one new folder, or what is said of an old one beside its files."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TypeVar

from bench.errors import InputError, SubmissionError
from bench.submission.challenge import NAME as CHALLENGE
from bench.submission.challenge import Challenge
from bench.submission.files import (
    MOST_BYTES,
    SUBMISSION_FILE,
    VERIFICATION_FILE,
    WITHDRAWAL_FILE,
    parse,
    read_submission,
)
from bench.submission.regular import content
from bench.submission.relations import kin, neighbours
from bench.submission.verification import Verification
from bench.submission.verifiers import listed, signer
from bench.threats import Norm

_PLACE = re.compile(r"submissions/(?P<protocol>[a-z0-9][a-z0-9._-]*)/(?P<entry>[a-z0-9][a-z0-9._-]*)/(?P<file>[^/]+)")
_TOLD = 10
"""Paths that are named one by one."""
_Signed = TypeVar("_Signed", bound=Verification | Challenge)
_COMMIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/^~-]*")


class Change(NamedTuple):
    """One path that differs."""

    how: str
    """A letter of git: A for added, M for modified, D for deleted, T for another kind of file."""
    path: str


class Entry(NamedTuple):
    """Whose folder a pull request touches."""

    protocol: str
    name: str


def changes(tree: Path, before: str) -> list[Change]:
    """Return what the commit that is checked out in ``tree`` changes, as git tells it; nothing of the tree is run.

    Raises:
        InputError: if ``tree`` is no checkout, or does not hold the commit before.
    """
    if not _COMMIT.fullmatch(before):
        raise InputError(f"{before!r} names no commit.")
    asked = ["diff", "--name-status", "--no-renames", "--no-ext-diff", "--no-textconv", "-z", before, "HEAD", "--"]
    words = _git(tree, *asked, of=before).decode("utf-8", "surrogateescape").split("\0")[:-1]
    return [Change(how, path) for how, path in zip(words[::2], words[1::2], strict=True)]


def _git(tree: Path, *asked: str, of: str) -> bytes:
    """Return what git prints in a stranger's tree: no hook, no monitor, no filter of it runs."""
    git = shutil.which("git")
    if git is None:
        raise InputError("git is not installed; it tells what a pull request changes.")
    safe = ["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]
    try:
        return subprocess.run([git, "-C", str(tree), *safe, *asked], check=True, capture_output=True).stdout  # noqa: S603 - git itself, and names that were checked
    except subprocess.CalledProcessError as error:
        why = (error.stderr.decode("utf-8", "replace").splitlines() or ["git failed"])[0]
        raise InputError(f"{str(tree)!r} does not tell what it changes since {of}: {why}") from None


def touched(made: Sequence[Change]) -> list[Entry]:
    """Return the entries whose folders a pull request touches, in order."""
    found = (_PLACE.fullmatch(change.path) for change in made)
    return sorted({Entry(place["protocol"], place["entry"]) for place in found if place})


def _said_of_it(file: str) -> bool:
    """Tell whether a file is one that is added to a published entry: it says something of it and changes none of it."""
    return file in {VERIFICATION_FILE, WITHDRAWAL_FILE} or CHALLENGE.fullmatch(file) is not None


def replaced_problems(tree: Path, before: str, made: Sequence[Change]) -> Iterator[str]:
    """Yield one sentence per verification that is replaced by one which was signed before it, or takes points less."""
    for change in made:
        place = _PLACE.fullmatch(change.path)
        if place is None or (place["file"], change.how) != (VERIFICATION_FILE, "M"):
            continue
        old = parse(
            Verification, _git(tree, "cat-file", "blob", f"{before}:{change.path}", of=before), VERIFICATION_FILE
        )
        new = _record(tree, change.path, Verification, VERIFICATION_FILE)
        if new is None:
            continue
        if new.date < old.date:
            yield f"{change.path!r} is replaced by one of {new.date}, signed before that of {old.date}, which stays."
        if lost := sorted({point for norm in Norm for point in old.fallen(norm) - new.fallen(norm)}):
            yield (
                f"{change.path!r} no longer names points that fell ({', '.join(map(str, lost[:_TOLD]))}); a new run "
                "makes no witness undone."
            )


def retired_problems(tree: Path, made: Sequence[Change]) -> Iterator[str]:
    """Yield one sentence per file that is signed anew with a key that signs no more, whatever date it bears.

    What such a key signed before stays where it is; whoever has an old key cannot date a new signature back.
    """
    today, verifiers = datetime.now(tz=UTC).date(), listed()
    for change in made:
        place = _PLACE.fullmatch(change.path)
        kind = _signed(place["file"]) if place and change.how in {"A", "M"} else None
        if place is None or kind is None:
            continue
        found = _record(tree, change.path, kind, place["file"])
        if found is None:
            continue
        try:
            by = signer(found, verifiers)
        except ValueError:
            continue  # what is wrong with it the check says
        if by not in verifiers.named(by.name, today):
            yield f"{change.path!r} is signed as {by.name!r}, who signs no more; what is added takes a key of today."


def _record(tree: Path, path: str, kind: type[_Signed], file: str) -> _Signed | None:
    """Return what a signed file holds; None for one that the check finds something wrong in."""
    try:
        return parse(kind, content(tree / path, MOST_BYTES[VERIFICATION_FILE]), file)
    except SubmissionError:
        return None


def _signed(file: str) -> type[Verification] | type[Challenge] | None:
    """Return the record that a signed file holds; None for any other file."""
    if file == VERIFICATION_FILE:
        return Verification
    found = CHALLENGE.fullmatch(file)
    return Challenge if found and found["kind"] == "json" else None


def claims(tree: Path, entry: Entry) -> Iterator[str]:
    """Yield what an entry says for people who have published before; names are no proof, so a reader looks."""
    try:
        said = read_submission(tree / "submissions" / entry.protocol / entry.name / SUBMISSION_FILE)
    except SubmissionError:
        return
    beside = neighbours(tree / "submissions" / entry.protocol)
    beside.pop(entry.name, None)
    known = [name for name in said.authors if any(kin(frozenset({name}), other.authors) for other in beside.values())]
    replaces = f" and replaces {said.supersedes!r}" if said.supersedes else ""
    if known:
        yield f"It speaks for {', '.join(known)}{replaces}; whoever merges it sees that they hand it in."


def pull_problems(made: Sequence[Change]) -> Iterator[str]:
    """Yield one sentence per thing that a pull request with a submission must not change."""
    outside = [change.path for change in made if not _PLACE.fullmatch(change.path)]
    for path in outside[:_TOLD]:
        yield (
            f"{path[:200]!r} is changed; a pull request with a submission touches one folder submissions/PROTOCOL/ID "
            "and nothing else."
        )
    if len(outside) > _TOLD:
        yield f"{len(outside) - _TOLD} more paths outside of a submission's folder are changed."
    entries = touched(made)
    if not entries:
        yield "no folder submissions/PROTOCOL/ID is added; bench submission new makes one."
    if len(entries) > 1:
        names = ", ".join(entry.name for entry in entries[:_TOLD])
        yield f"{len(entries)} entries are touched ({names}); hand in one a pull request."
    inside = [(change, place["file"]) for change in made if (place := _PLACE.fullmatch(change.path))]
    # whoever adds an entry adds the file that names it
    new = any(file == SUBMISSION_FILE and change.how == "A" for change, file in inside)
    for change, file in inside[: 4 * _TOLD]:
        if change.how == "A" and not new and _said_of_it(file):
            continue
        if change.how != "A" and (file, change.how) != (VERIFICATION_FILE, "M"):
            does = {"M": "changed", "D": "deleted"}.get(change.how, "made another kind of file")
            yield (
                f"{change.path[:200]!r} is {does}; published files stay as they are, and a correction is a new folder "
                "with supersedes."
            )
        elif not new and not _said_of_it(file):
            yield f"{change.path[:200]!r} is added to an entry that is published; choose another id."

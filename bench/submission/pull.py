"""What a pull request with a submission may change: one new folder, or what is said of an old one beside its files."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.errors import InputError
from bench.submission.challenge import NAME as CHALLENGE
from bench.submission.files import SUBMISSION_FILE, VERIFICATION_FILE, WITHDRAWAL_FILE

_PLACE = re.compile(r"submissions/(?P<protocol>[a-z0-9][a-z0-9._-]*)/(?P<entry>[a-z0-9][a-z0-9._-]*)/(?P<file>[^/]+)")
_TOLD = 10
"""Paths that are named one by one."""
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
    git = shutil.which("git")
    if git is None:
        raise InputError("git is not installed; it tells what a pull request changes.")
    # the tree is a stranger's: no hook, no monitor, no filter of it runs for a diff of names
    safe = ["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]
    asked = ["diff", "--name-status", "--no-renames", "--no-ext-diff", "--no-textconv", "-z", before, "HEAD", "--"]
    try:
        told = subprocess.run([git, "-C", str(tree), *safe, *asked], check=True, capture_output=True).stdout  # noqa: S603 - git itself, and a commit whose name was checked
    except subprocess.CalledProcessError as error:
        why = (error.stderr.decode("utf-8", "replace").splitlines() or ["git failed"])[0]
        raise InputError(f"{str(tree)!r} does not tell what it changes since {before}: {why}") from None
    words = told.decode("utf-8", "surrogateescape").split("\0")[:-1]
    return [Change(how, path) for how, path in zip(words[::2], words[1::2], strict=True)]


def touched(made: Sequence[Change]) -> list[Entry]:
    """Return the entries whose folders a pull request touches, in order."""
    found = (_PLACE.fullmatch(change.path) for change in made)
    return sorted({Entry(place["protocol"], place["entry"]) for place in found if place})


def _said_of_it(file: str) -> bool:
    """Tell whether a file is one that is added to a published entry: it says something of it and changes none of it."""
    return file in {VERIFICATION_FILE, WITHDRAWAL_FILE} or CHALLENGE.fullmatch(file) is not None


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

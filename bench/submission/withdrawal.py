"""withdrawal.toml: an author takes an entry from the boards; its page stays, with the reason."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from bench.atomic import write_atomic
from bench.errors import SubmissionError, UsageError
from bench.submission.fields import Frozen, Slug, Title, Words
from bench.submission.files import SUBMISSION_FILE, WITHDRAWAL_FILE, read_submission
from bench.submission.make import spelled
from bench.submission.people import tomorrow
from bench.submission.schema import Submission
from bench.submission.verifiers import listed, same


class Withdrawal(Frozen):
    """withdrawal.toml: who withdraws an entry, and why."""

    schema_: Annotated[Literal["bench.withdrawal/1"], Field(alias="schema")]
    entry: Slug
    by: Title
    """An author of the entry, or a listed verifier where it cannot be kept."""
    date: date
    reason: Annotated[Words, StringConstraints(min_length=1)]


def withdrawal_problems(found: Withdrawal, submission: Submission) -> Iterator[str]:
    """Yield one sentence for whatever keeps a withdrawal from being one of this entry."""
    if found.entry != submission.id:
        yield f"{WITHDRAWAL_FILE}: entry is {found.entry!r}, expected {submission.id!r}."
    if not _may(found.by, submission):
        yield (
            f"{WITHDRAWAL_FILE}: {found.by!r} is neither an author of the entry ({', '.join(submission.authors)}) nor "
            "a listed verifier."
        )
    if not submission.date <= found.date <= tomorrow():
        yield f"{WITHDRAWAL_FILE}: dated {found.date}, before the submission or in the future."


def withdraw(folder: Path, by: str, reason: str, day: date) -> Path:
    """Write the withdrawal of an entry into its folder, and return the file.

    Raises:
        UsageError: if it is withdrawn already.
        SubmissionError: if ``by`` may not, or the words are not ones that a page carries.
    """
    path = folder / WITHDRAWAL_FILE
    if path.exists():
        raise UsageError(f"{str(path)!r} exists already; an entry is withdrawn once.")
    submission = read_submission(folder / SUBMISSION_FILE)
    try:
        found = Withdrawal(schema_="bench.withdrawal/1", entry=submission.id, by=by, date=day, reason=reason)
    except ValueError as error:
        raise SubmissionError(f"{WITHDRAWAL_FILE} cannot be written of this: {error}") from None
    wrong = list(withdrawal_problems(found, submission))
    if wrong:
        raise SubmissionError(" ".join(wrong))
    write_atomic(path, spelled(found.model_dump(mode="json", by_alias=True)).encode())
    return path


def _may(name: str, submission: Submission) -> bool:
    return any(same(name, other) for other in (*submission.authors, *(one.name for one in listed().verifiers)))

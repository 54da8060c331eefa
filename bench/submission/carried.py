"""A file of weights that lies in the folder of its own entry: a small one, held to what a fetched one is held to."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.errors import ArtefactError, SubmissionError
from bench.header import read_header
from bench.submission.files import RESULT_FILE, SUBMISSION_FILE, WEIGHTS_BYTES, WEIGHTS_FILE, sha256
from bench.submission.regular import content
from bench.submission.schema import Result, Submission


def carried(submission: Submission) -> bool:
    """Tell whether an entry says that its weights lie beside it."""
    return submission.weights.locator == WEIGHTS_FILE


def plain(name: str) -> bool:
    """Tell whether a name is one of a file, and no way to another place."""
    return Path(name).name == name and not name.startswith((".", "-")) and "\\" not in name and name.isprintable()


def read_carried(path: Path, digest: str) -> bytes:
    """Return the bytes of a small file of weights; no number of them has been looked at.

    Args:
        path: where it lies.
        digest: sha256 that it should have.

    Raises:
        SubmissionError: if it is no regular file or too large.
        ArtefactError: if it is another file, or one that two readers may read differently.
    """
    found = content(path, WEIGHTS_BYTES)
    if sha256(found) != digest:
        raise ArtefactError(f"{path.name} has sha256 {sha256(found)}, expected {digest}.")
    read_header(found, path.name)
    return found


def carried_problems(
    folder: Path, there: Sequence[str], submission: Submission | None, result: Result | None
) -> Iterator[str]:
    """Yield why weights in a folder are not those of its entry, or are none that may lie there."""
    said = submission is not None and carried(submission)
    if submission is not None and WEIGHTS_FILE in there and not said:
        yield (
            f"{SUBMISSION_FILE}: weights.locator is {submission.weights.locator!r}, but {WEIGHTS_FILE} lies here; "
            "remove the file or name it."
        )
    if result is None or not (said or WEIGHTS_FILE in there):
        return
    if result.model.file_sha256 is None:
        yield f"{RESULT_FILE}: model.file_sha256 is null, so no file of weights was measured and none belongs here."
        return
    try:
        read_carried(folder / WEIGHTS_FILE, result.model.file_sha256)
    except (SubmissionError, ArtefactError) as error:
        yield str(error)
    if said and submission is not None and submission.weights.sha256 != result.model.file_sha256:
        yield (
            f"{SUBMISSION_FILE}: weights.sha256 is {submission.weights.sha256}, expected that of {WEIGHTS_FILE}, "
            f"{result.model.file_sha256}."
        )

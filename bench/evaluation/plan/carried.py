"""Puts the weights that an entry carries in its folder under the names that its record has for them."""

from collections.abc import Iterator
from pathlib import Path

from bench.atomic import write_atomic
from bench.errors import ArtefactError, SubmissionError
from bench.models.weights import model_folder
from bench.submission.carried import carried, plain, read_carried
from bench.submission.files import RESULT_FILE, SUBMISSION_FILE, WEIGHTS_FILE, read_result, read_submission
from bench.submission.schema import ModelRecord, Submission


def kept(digest: str, name: str) -> Path:
    """Return the folder in which a file of an entry is kept under its name in the record.

    Raises:
        ArtefactError: if the name leads elsewhere.
    """
    if not plain(name):
        raise ArtefactError(f"{RESULT_FILE}: {name[:120]!r} is no plain name of a file.")
    return model_folder() / "entries" / digest


def unpack(folder: Path, digest: str, name: str) -> Path:
    """Copy the weights in an entry's folder to where they are kept; return that folder.

    Raises:
        SubmissionError: if there is no such file, or too large a one.
        ArtefactError: if it is another file than was measured.
    """
    place = kept(digest, name)
    write_atomic(place / name, read_carried(folder / WEIGHTS_FILE, digest))
    return place


def parents(folder: Path, model: ModelRecord) -> Iterator[tuple[Path, Submission, ModelRecord]]:
    """Yield the entries beside this one whose network, a file, is the dense parent of this one's."""
    for beside in sorted(folder.resolve().parent.glob(f"*/{RESULT_FILE}")):
        try:
            parent = read_result(beside).model
            if parent.weights_sha256 == model.parent_sha256 and parent.normalisation is not None:
                yield beside.parent, read_submission(beside.with_name(SUBMISSION_FILE)), parent
        except SubmissionError:
            continue  # what is wrong with that entry is its own


def places(folder: Path, model: ModelRecord) -> list[Path]:
    """Return folders with the files that an entry and its parent's entry carry; the parent's first.

    A record tells its own file by a digest and its parent's by the name alone, which both may have.
    """
    found = []
    if model.parent is not None:
        beside = [(place, parent) for place, said, parent in parents(folder, model) if carried(said)]
        found += [unpack(place, parent.file_sha256, model.parent) for place, parent in beside[:1] if parent.file_sha256]
    if model.file_sha256 is not None and (folder / WEIGHTS_FILE).exists():
        found.append(unpack(folder, model.file_sha256, model.ref))
    return found

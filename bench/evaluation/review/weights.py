"""Fetches the files of weights that an entry names, and has another process open them before this one does."""

import json
import os
import subprocess
import sys
from pathlib import Path

from bench.download import Remote, fetch
from bench.errors import ArtefactError, InputError, SubmissionError
from bench.evaluation.plan.carried import kept, parents, unpack
from bench.guard import Guard
from bench.models.source import SOURCES
from bench.submission.carried import carried
from bench.submission.files import RESULT_FILE, SUBMISSION_FILE, read_result, read_submission
from bench.submission.links import serving
from bench.submission.people import PLACES
from bench.submission.schema import ModelRecord, Normalisation, Submission

_SLACK = 2**20
"""Bytes of a header and of words about a file, beyond its tensors."""
_TIMES = 2
"""A file of weights may be stored in a type twice as wide."""
_LARGEST = 16 * 2**30
_SECONDS = 300.0
"""Far more than reading a file of the largest size takes."""


def fetch_weights(folder: Path) -> list[Path]:
    """Bring the files of an entry to this machine; return the folders in which they lie under the names of its record.

    A network that anyone has is made again from its reference and recipe; where its weights are not at hand, they are
    brought from where ``bench models fetch`` brings them from.

    Raises:
        SubmissionError: if it names no place of a file.
        ArtefactError: if what lies there is not what it names, or leads elsewhere.
        InputError: if it cannot be fetched.
    """
    submission, model = read_submission(folder / SUBMISSION_FILE), read_result(folder / RESULT_FILE).model
    places = []
    if model.parent is not None and model.parent.endswith(".safetensors") and ":" not in model.parent:
        # first, for a record tells its own file by a digest and its parent's by the name alone, which both may have
        places.append(_parent(folder, model, model.parent))
    for name in dict.fromkeys((model.ref, model.parent)):
        _bring(name or "")
    if model.normalisation is not None:
        place = _fetched(folder, submission, model, model.ref)
        _try(place / model.ref, model.architecture, model.normalisation)
        places.append(place)
    return places


def _bring(ref: str) -> None:
    """Bring the weights of a network that a source of models knows by name, if they are not there."""
    kind, _, name = ref.partition(":")
    source = SOURCES[kind] if kind in SOURCES and name else None
    if source is not None and source.fetch is not None and not source.at_hand(name):
        source.fetch(name)


def _parent(folder: Path, model: ModelRecord, name: str) -> Path:
    """Fetch the dense parent's file from where its own entry, beside this one, says that it lies."""
    for beside, submission, parent in parents(folder, model):
        try:
            place = _fetched(beside, submission, parent, name)
        except SubmissionError:
            continue  # what is wrong with that entry is its own
        if parent.normalisation is not None:
            _try(place / name, parent.architecture, parent.normalisation)
        return place
    raise InputError(
        f"the dense parent {name!r} with weights {(model.parent_sha256 or 'unknown')[:12]}… has no entry beside this "
        "one that says where they lie; publish the parent first."
    )


def _fetched(folder: Path, submission: Submission, model: ModelRecord, name: str) -> Path:
    address, digest = submission.weights.address, model.file_sha256
    if digest is not None and carried(submission):
        return unpack(folder, digest, name)
    if address is None or digest is None:
        raise SubmissionError(f"{SUBMISSION_FILE}: weights.locator names no place of a file; expected {PLACES}.")
    place = kept(digest, name)
    most = min(_TIMES * submission.weights.bytes + _SLACK, _LARGEST)
    fetch(Remote(name, address, f"sha256:{digest}", most=most, through=Guard(serving(address))), place)
    return place


def _try(path: Path, architecture: str, given: Normalisation) -> None:
    """Load a file in a process of limited memory and time; whatever it does to that process, this one goes on.

    Raises:
        ArtefactError: if it cannot be loaded there.
    """
    told = {"path": str(path), "architecture": architecture, "mean": given.mean, "std": given.std}
    command = [sys.executable, "-m", "bench.evaluation.review.trial"]
    try:
        done = subprocess.run(  # noqa: S603 - this package, and what is loaded goes in as data
            command,
            input=json.dumps(told),
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
    except subprocess.TimeoutExpired:
        raise ArtefactError(f"{path.name} was not loaded within {_SECONDS:.0f} seconds; it is not reviewed.") from None
    if done.returncode:
        why = (done.stdout.strip().splitlines() or [f"the process ended with code {done.returncode}"])[-1]
        raise ArtefactError(f"{path.name} cannot be loaded by itself: {why}")

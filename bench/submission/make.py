"""Make the folder of a submission out of a finished run."""

import json
from collections.abc import Mapping
from pathlib import Path

from bench.atomic import write_atomic
from bench.errors import SubmissionError, UsageError
from bench.submission.files import (
    POINTS_FILE,
    RESULT_FILE,
    SUBMISSION_FILE,
    WEIGHTS_FILE,
    WITNESSES_FILE,
    read_result,
)
from bench.submission.points import read_points
from bench.submission.sample import drawn
from bench.submission.schema import Result, Submission


def make(run: Path, root: Path, submission: Submission, weights: bytes | None = None) -> Path:
    """Copy a run's files to ``root/<protocol>/<id>`` and write submission.toml, and weights if given, beside them.

    Of its witnesses a sample goes along.

    Raises:
        SubmissionError: if the run deviates from its protocol; such a result cannot be submitted.
        UsageError: if the folder exists already.
    """
    result = read_result(run / RESULT_FILE)
    if not result.standard:
        raise SubmissionError(
            f"{str(run)!r} is not a standard run ({'; '.join(result.deviations)}); measure again without deviations."
        )
    folder = root / result.protocol.name / submission.id
    if folder.exists():
        raise UsageError(f"{str(folder)!r} exists already; published files do not change, choose another --id.")
    files = {name: (run / name).read_bytes() for name in (RESULT_FILE, POINTS_FILE)}
    files[WITNESSES_FILE] = drawn(run / WITNESSES_FILE, read_points(run / POINTS_FILE).id)
    for name, content in files.items():
        write_atomic(folder / name, content)
    if weights is not None:
        write_atomic(folder / WEIGHTS_FILE, weights)
    write_atomic(folder / SUBMISSION_FILE, spell(submission).encode())
    return folder


def method(result: Result) -> str:
    """Return how the network of a run was pruned, in a few words."""
    pruning = result.pruning
    return pruning.how if pruning.regime in {None, "one-shot"} else f"{pruning.how}, then {pruning.regime}"


def spell(submission: Submission) -> str:
    """Return a submission as TOML."""
    plain = submission.model_dump(mode="json", by_alias=True, exclude_none=True)
    weights = plain.pop("weights")
    return f"{spelled(plain)}\n[weights]\n{spelled(weights)}"


def spelled(plain: Mapping[str, object]) -> str:
    """Return texts, numbers, truths and dates as lines of TOML."""
    return "".join(f"{key} = {_value(key, value)}\n" for key, value in plain.items())


def _value(key: str, value: object) -> str:
    # JSON spells text, lists of text, numbers and truth as TOML does; a date stands bare
    return str(value) if key == "date" else json.dumps(value, ensure_ascii=False)

"""Read and write the records of a submission: canonical JSON and TOML, every key at fault named at once."""

import hashlib
import json
import tomllib
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bench.errors import SubmissionError
from bench.submission.regular import content
from bench.submission.schema import Result, Submission

RESULT_FILE = "result.json"
SUBMISSION_FILE = "submission.toml"
POINTS_FILE = "points.npz"
WITNESSES_FILE = "witnesses.npz"
VERIFICATION_FILE = "verification.json"
WITHDRAWAL_FILE = "withdrawal.toml"
WEIGHTS_FILE = "weights.safetensors"
WITNESS_BYTES = 4 * 2**20
"""Bytes of witnesses that may lie in the repository; larger ones are pinned like weights."""
WEIGHTS_BYTES = 2**20
"""Bytes of a file of weights that may lie in the folder of its entry; a larger one is pinned where it lies."""

_Record = TypeVar("_Record", bound=BaseModel)
MOST_BYTES = {RESULT_FILE: 2 * 2**20, SUBMISSION_FILE: 2**15, VERIFICATION_FILE: 2**19}
"""What each record may weigh; a result on a network of a thousand layers takes a tenth."""
_MOST = 2**16
"""What another TOML file may weigh; reading a key of n dotted parts takes time in proportion to n²."""
_OLD = b'"bench.result/1"'
_NAMED = 40
"""Keys at fault that one sentence names; the rest is counted."""


def canonical(value: Any) -> bytes:
    """Return JSON bytes that depend on the value alone: sorted keys, two spaces, no NaN, one final newline."""
    text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def dump(record: BaseModel) -> bytes:
    """Return a record as canonical JSON; what may be left out and says nothing is left out."""
    return canonical(record.model_dump(mode="json", by_alias=True, exclude_defaults=True))


def read_result(path: Path) -> Result:
    """Read a result.json, or raise a SubmissionError that names every key at fault."""
    return parse(Result, content(path, MOST_BYTES[RESULT_FILE]), path.name)


def read_submission(path: Path) -> Submission:
    """Read a submission.toml, or raise a SubmissionError that names every key at fault."""
    return read_toml(Submission, path)


def read_toml(record: type[_Record], path: Path) -> _Record:
    """Read a TOML file as a record, or raise a SubmissionError that names every key at fault."""
    raw = content(path, MOST_BYTES.get(path.name, _MOST))
    try:
        plain = json.dumps(tomllib.loads(raw.decode()), default=_plain)
    except UnicodeDecodeError as error:
        raise SubmissionError(f"{path.name} is not UTF-8: {error.reason} at byte {error.start}.") from None
    except (ValueError, RecursionError) as error:
        raise SubmissionError(f"{path.name} is not TOML that can be read: {_short(str(error))}.") from None
    return parse(record, plain.encode(), path.name)


def parse(record: type[_Record], raw: bytes, name: str) -> _Record:
    """Read JSON as a record, or raise a SubmissionError that names every key at fault."""
    try:
        return record.model_validate_json(raw)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
    if _OLD in raw and any(fault["loc"] == ("schema",) for fault in faults):
        raise SubmissionError(
            f"{name} is a record of version 1, expected version 2; run `bench submission migrate` on its folder, which "
            "converts it once."
        )
    found = [
        f"{_short('.'.join(str(step) for step in fault['loc'])) or 'file'}: {_short(fault['msg'])}" for fault in faults
    ]
    more = [f"and {len(found) - _NAMED} more"] if len(found) > _NAMED else []
    raise SubmissionError(f"{name}: {'; '.join([*found[:_NAMED], *more])}.")


def sha256(raw: bytes) -> str:
    """Return the sha256 of bytes."""
    return hashlib.sha256(raw).hexdigest()


def _plain(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise SubmissionError(f"{_short(repr(value))} has no place in a submission.")


def _short(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:300]}…"

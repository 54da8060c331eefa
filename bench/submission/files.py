"""Read and write submission files: canonical JSON, exact arrays, all or nothing."""

import hashlib
import io
import json
import tomllib
import zipfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from bench.errors import SubmissionError
from bench.submission.schema import Result, Submission, Verification

RESULT_FILE = "result.json"
SUBMISSION_FILE = "submission.toml"
POINTS_FILE = "points.npz"
WITNESSES_FILE = "witnesses.npz"
VERIFICATION_FILE = "verification.json"

_Record = TypeVar("_Record", bound=BaseModel)
_EPOCH = (1980, 1, 1, 0, 0, 0)


def canonical(value: Any) -> bytes:
    """Return JSON bytes that depend on the value alone: sorted keys, two spaces, no NaN, one final newline."""
    text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def dump(record: BaseModel) -> bytes:
    """Return a record as canonical JSON; what may be left out and says nothing is left out."""
    return canonical(record.model_dump(mode="json", by_alias=True, exclude_defaults=True))


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return an .npz whose bytes depend on the arrays alone (no clock in the archive)."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as file:
        for name in sorted(arrays):
            content = io.BytesIO()
            np.lib.format.write_array(content, np.ascontiguousarray(arrays[name]), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(info, content.getvalue())
    return archive.getvalue()


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of an .npz, never unpickling.

    Raises:
        SubmissionError: if the file is missing or holds anything but plain arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in sorted(file.files)}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise SubmissionError(f"{path.name}: expected plain arrays in {str(path)!r}, got: {error}.") from None


def read_result(path: Path) -> Result:
    """Read a result.json, or raise a SubmissionError that names every key at fault."""
    return _parse(Result, _text(path), path)


def read_verification(path: Path) -> Verification:
    """Read a verification.json, or raise a SubmissionError that names every key at fault."""
    return _parse(Verification, _text(path), path)


def read_submission(path: Path) -> Submission:
    """Read a submission.toml, or raise a SubmissionError that names every key at fault."""
    return read_toml(Submission, path)


def read_toml(record: type[_Record], path: Path) -> _Record:
    """Read a TOML file as a record, or raise a SubmissionError that names every key at fault."""
    try:
        content = tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as error:
        raise SubmissionError(f"{path.name} is not TOML: {error}.") from None
    return _parse(record, json.dumps(content, default=_plain), path)


def sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise SubmissionError(f"{value!r} has no place in a submission.")


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise SubmissionError(f"{path.name} is missing: expected {str(path)!r}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SubmissionError(f"{str(path)!r} cannot be read: {error}.") from None


def _parse(record: type[_Record], text: str, path: Path) -> _Record:
    try:
        return record.model_validate_json(text)
    except ValidationError as error:
        found = "; ".join(
            f"{'.'.join(str(step) for step in problem['loc']) or 'file'}: {problem['msg']}"
            for problem in error.errors()
        )
        raise SubmissionError(f"{path.name}: {found}.") from None

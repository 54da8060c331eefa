"""Writes a file completely or not at all."""

import os
import tempfile
from pathlib import Path

from bench.errors import BenchError


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file completely or not at all, and make the folder it goes into.

    Raises:
        BenchError: if the disk is full or the place cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).chmod(0o644)
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise BenchError(f"cannot write {str(path)!r} ({reason}); nothing is half-written.") from None

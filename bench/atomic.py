"""Writes a file, or a folder of files, completely or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import BenchError, InputError


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


def add_line(path: Path, line: bytes) -> None:
    """Add a line to a file, and see it on disk; where the last one there has no end, this is not glued to it.

    Args:
        path: of the file, in a folder that is there.
        line: with its end.

    Raises:
        BenchError: if the disk is full or the place cannot be written.
    """
    try:
        with path.open("ab+") as file:
            torn = False
            if file.tell():
                file.seek(-1, os.SEEK_END)
                torn = file.read(1) != b"\n"
            file.write(b"\n" * torn + line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise BenchError(f"cannot write {str(path)!r} ({error.strerror or error}).") from None


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Give a folder to write into, which takes the name ``out`` when the block ends well and is gone when it does not.

    Raises:
        InputError: if the place cannot be written, or something that is not empty has the name already.
    """
    folder: Path | None = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
        yield folder
        folder.chmod(0o755)
        folder.rename(out)
    except OSError as error:
        raise InputError(f"cannot write {str(out)!r} ({error.strerror or error}); nothing is half-written.") from None
    finally:
        if folder is not None and folder.exists():
            shutil.rmtree(folder, ignore_errors=True)

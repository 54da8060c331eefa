"""Opens the files that strangers hand in: regular ones of bounded size, and never through a link."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from bench.errors import SubmissionError

_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@contextmanager
def opened(path: Path, most: int | None = None) -> Iterator[BinaryIO]:
    """Open a file for reading.

    Args:
        path: where it is.
        most: bytes that it may have; None for a file of one's own.

    Raises:
        SubmissionError: if there is none, if it is not a regular file, or if it is larger.
    """
    try:
        kind = path.lstat().st_mode
        if not stat.S_ISREG(kind):
            raise SubmissionError(f"{path.name} is {_named(kind)}; expected a regular file.")
        # a link or a pipe that takes the file's place in this moment is neither followed nor waited for
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with open(os.open(path, flags), "rb") as file:  # noqa: PTH123 - of a descriptor
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise SubmissionError(f"{path.name} is {_named(found.st_mode)}; expected a regular file.")
            if most is not None and found.st_size > most:
                raise SubmissionError(f"{path.name} has {found.st_size} bytes; at most {most} are read.")
            yield file
    except FileNotFoundError:
        raise SubmissionError(f"{path.name} is missing: expected {str(path)!r}.") from None
    except OSError as error:
        raise SubmissionError(f"{str(path)!r} cannot be read: {error.strerror or error}.") from None


def content(path: Path, most: int) -> bytes:
    """Return the bytes of a file, or raise a SubmissionError as ``opened`` does."""
    with opened(path, most) as file:
        found = file.read(most + 1)
    if len(found) > most:
        raise SubmissionError(f"{path.name} grew to more than {most} bytes while it was read.")
    return found


def _named(kind: int) -> str:
    return next((name for holds, name in _KINDS if holds(kind)), "no regular file")

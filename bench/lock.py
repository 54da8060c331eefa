"""One process at a time makes an output folder: what is unfinished lies beside it, held by a lock of the system's."""

import errno
import fcntl
import os
import platform
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from bench.errors import BenchError, UsageError

FILE = "lock"
"""Lies in the folder of unfinished work and says who holds it."""
_WORDS = 200
_LOOKS, _MOMENT = 3, 0.02
"""How often a lock is tried before it counts as held, and the seconds in between."""


def unfinished(out: Path) -> Path:
    """Return the folder beside an output folder where unfinished work lies."""
    return out.with_name(f"{out.name}.partial")


@contextmanager
def held(out: Path) -> Iterator[Path]:
    """Hold the place of an output folder, and give the folder beside it where unfinished work goes.

    The system releases the lock when its holder ends, however it ends, so none is ever stale; the file that a dead
    process leaves behind holds nobody up. A folder of unfinished work that ends up empty is removed.

    Raises:
        UsageError: if another process holds it; says which, and since when.
        BenchError: if the folder cannot be made, or its file system keeps no locks.
    """
    folder = unfinished(out)
    try:
        file = _acquire(out, folder)
    except OSError as error:
        says = "its file system keeps no locks" if error.errno in _LOCKLESS else error.strerror or str(error)
        raise BenchError(f"cannot work in {str(folder)!r} ({says}); choose another --out.") from None
    try:
        yield folder
    finally:
        with suppress(OSError):
            if _leads_to(file, folder / FILE):
                (folder / FILE).unlink()
                folder.rmdir()
        os.close(file)


def holder(out: Path) -> str | None:
    """Return who holds the place of an output folder, in the words of the lock; None where nobody does."""
    try:
        file = os.open(unfinished(out) / FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(file, _WORDS, 0).decode(errors="replace") or "another process"
    except OSError:
        return None  # a file system without locks
    finally:
        os.close(file)
    return None


_LOCKLESS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})


def _acquire(out: Path, folder: Path) -> int:
    """Return the open lock file, once it is locked and still the one that others find."""
    looks = 0
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
        except (FileExistsError, FileNotFoundError):
            if _in_the_way(folder):
                raise
            continue  # the last holder was just taking the folder away
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _leads_to(file, folder / FILE):
                os.ftruncate(file, 0)
                os.pwrite(file, _holder().encode(), 0)
                return file
        except BlockingIOError:
            found = os.pread(file, _WORDS, 0).decode(errors="replace") or "another process"
            os.close(file)
            if (looks := looks + 1) < _LOOKS:  # somebody may only have asked who holds it
                time.sleep(_MOMENT)
                continue
            raise UsageError(
                f"{str(out)!r} is being made by {found}; wait for it, end it, or choose another --out."
            ) from None
        except OSError:
            os.close(file)
            raise
        os.close(file)


def _in_the_way(folder: Path) -> bool:
    """Tell whether something that is no folder has the name: one look, for holders make folders and remove them."""
    try:
        return not stat.S_ISDIR(folder.stat().st_mode)
    except FileNotFoundError:
        return folder.is_symlink()


def _leads_to(file: int, path: Path) -> bool:
    """Tell whether a path still leads to an open file: a holder that ended takes the file away, and others make one."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    mine = os.fstat(file)
    return (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino)


def _holder() -> str:
    since = datetime.now(tz=UTC).astimezone().isoformat(sep=" ", timespec="seconds")
    return f"process {os.getpid()} on {platform.node() or 'this machine'} since {since}"

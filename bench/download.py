"""Fetch a published file over HTTP: resumed where it broke off, held against its digest, told from a page of words."""

import fcntl
import hashlib
import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, TypeAlias

from bench.errors import ArtefactError, BenchError, InputError
from bench.version import __version__

Show: TypeAlias = Callable[[str, int, int], None]
"""(file, bytes so far, bytes in all, 0 where nobody says): what a progress bar shows."""


def _silent(says: str, done: int, total: int) -> None:
    """Show nothing."""


_SHOW: ContextVar[Show] = ContextVar("show", default=_silent)
_CHUNK = 1 << 18
_PATIENCE = 30.0
"""Seconds without a byte after which a server counts as gone; a silent firewall would otherwise hold a run for ever."""
_TRIES = 5
"""Answers without a single new byte before the file is given up."""
_LONGEST = 60.0
"""Seconds waited at most, whatever a server asks for."""
_BUSY = frozenset({408, 429, 500, 502, 503, 504})
_PAGE = re.compile(rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<(!doctype\s+html|html|head)\b", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(rb"<title[^>]*>\s*(.*?)\s*</title>", re.IGNORECASE | re.DOTALL)
_HEAD = 4096
"""Bytes in which a page shows itself."""

Open: TypeAlias = Callable[[urllib.request.Request, float], Any]
"""(what is asked, seconds of patience) to the answer, as ``urllib`` gives it."""


def _anywhere(asked: urllib.request.Request, patience: float) -> Any:
    return urllib.request.urlopen(asked, timeout=patience)  # noqa: S310 - of our tables


@dataclass(frozen=True, slots=True)
class Remote:
    """A published file.

    Attributes:
        name: where it goes, relative to the folder of its kind.
        address: where it is fetched from, or where a person gets it.
        digest: ``md5:…`` or ``sha256:…`` as published; empty where nobody published one.
        size: in bytes; None where nobody says.
        most: bytes that are taken at most, of a file whose size nobody vouches for; None where the size is the limit.
        through: what opens the address; a guard for one that a stranger named.
    """

    name: str
    address: str
    digest: str = ""
    size: int | None = None
    most: int | None = None
    through: Open = _anywhere

    @property
    def spelled(self) -> str:
        """The digest, for people."""
        kind, _, value = self.digest.partition(":")
        return f"{kind} {value}" if value else "no digest published"

    def hold(self, total: int) -> None:
        """Hold the bytes that have come, or are announced, against the most that is taken.

        Raises:
            ArtefactError: if they are more.
        """
        most = self.size if self.most is None else self.most
        if most is not None and total > most:
            limit = f"{most:,} were published" if self.most is None else f"at most {most:,} are taken"
            raise ArtefactError(
                f"what {self.address} sends for {self.name} has {total:,} bytes or more where {limit}; nothing of it "
                "is kept."
            )


class PageError(InputError):
    """A server answered with a page of words in place of a file.

    Attributes:
        head: the first bytes of the page.
        final: the address that answered, after every redirect.
    """

    def __init__(self, says: str, head: bytes, final: str) -> None:
        super().__init__(says)
        self.head, self.final = head, final


@contextmanager
def showing(show: Show) -> Iterator[None]:
    """Let ``show`` hear of every part of every file that is fetched inside."""
    before = _SHOW.set(show)
    try:
        yield
    finally:
        _SHOW.reset(before)


def hold(path: Path, remote: Remote) -> None:
    """Hold a file against what was published of it.

    Raises:
        ArtefactError: if its size or its digest is another.
        InputError: if it cannot be read.
    """
    with opened(path, remote):
        pass


@contextmanager
def opened(path: Path, remote: Remote) -> Iterator[BufferedReader]:
    """Open a file and hold it against what was published of it; whoever swaps it afterwards swaps nothing that is read.

    Raises:
        ArtefactError: if its size or its digest is another, or it is written to while it is read.
        InputError: if it cannot be read.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be read ({error.strerror or error}).") from None
    with file:
        before = _state(file)
        if wrong := _wrong(file, path, remote):
            raise ArtefactError(
                f"{str(path)!r} has {wrong}; it is another file or a damaged one: remove it, fetch it again."
            )
        file.seek(0)
        yield file
        if _state(file) != before:
            raise ArtefactError(f"{str(path)!r} was written to while it was read; nothing of it is kept.")


def _state(file: BufferedReader) -> tuple[int, ...]:
    state = os.fstat(file.fileno())
    return state.st_size, state.st_mtime_ns


def fetch(remote: Remote, folder: Path) -> Path:
    """Return the file in ``folder``, fetched where it is absent; what a broken connection left behind is gone on with.

    A file is put into its place only once its size and its digest are those published.

    Raises:
        InputError: if it cannot be fetched, or the server answers with a page.
        ArtefactError: if what comes is not what was published.
        BenchError: if the disk is full or the place cannot be written.
    """
    path = folder / remote.name
    if path.is_file():
        hold(path, remote)
        return path
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as file:
            _alone(file, path)
            resumed = file.tell() > 0
            wrong = _completed(remote, file, part)
            if wrong and resumed:  # the part was of another version
                _empty(file)
                wrong = _completed(remote, file, part)
            if wrong:
                part.unlink()
                raise ArtefactError(
                    f"what {remote.address} sends for {remote.name} has {wrong}; nothing of it is kept."
                )
            part.replace(path)
    except OSError as error:
        raise BenchError(
            f"cannot write {str(path)!r} ({error.strerror or error}); make room or name another folder, and what is "
            "there already is gone on with."
        ) from None
    finally:
        if part.is_file() and not part.stat().st_size:
            part.unlink()
    return path


def _wrong(file: BufferedReader, path: Path, remote: Remote) -> str:
    """Return what of a file that was just opened is not as published, empty where all is."""
    try:
        size, (kind, _, value) = os.fstat(file.fileno()).st_size, remote.digest.partition(":")
        if remote.size not in {None, size}:
            return f"{size:,} bytes where {remote.size:,} were published"
        if not value:
            return ""
        found = hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be read ({error.strerror or error}).") from None
    return "" if found == value else f"the {kind} {found} where {value} was published"


def _completed(remote: Remote, file: IO[bytes], part: Path) -> str:
    """Fetch the rest of a file; return what of the whole is not as published."""
    try:
        _complete(remote, file)
    except (PageError, ArtefactError):
        _empty(file)
        raise
    file.flush()
    os.fsync(file.fileno())
    with part.open("rb") as whole:
        return _wrong(whole, part, remote)


def _empty(file: IO[bytes]) -> int:
    """Forget what a file holds; return where it stands, at its start."""
    file.truncate(0)
    return file.seek(0)


def _alone(file: IO[bytes], path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(f"{str(path)!r} is being fetched by another process; wait for it to end.") from None


def _complete(remote: Remote, file: IO[bytes]) -> None:
    """Append what is missing of a file, however often the connection breaks."""
    idle, mark = 0, ""
    while True:
        before = file.tell()
        try:
            mark, whole = _append(remote, file, mark)
        except (
            urllib.error.HTTPError,
            http.client.HTTPException,
            ConnectionError,
            TimeoutError,
            urllib.error.URLError,
        ) as error:
            wait = _wait(error, idle)
            idle = 0 if file.tell() > before else idle + 1
            if wait is None or idle >= _TRIES:
                raise InputError(f"{remote.address} cannot be fetched ({_reason(error)})") from None
            time.sleep(wait)
            continue
        if whole:
            return
        idle = 0 if file.tell() > before else idle + 1
        if idle >= _TRIES:
            raise InputError(f"{remote.address} cannot be fetched (the connection breaks off at byte {file.tell():,})")


def _append(remote: Remote, file: IO[bytes], mark: str) -> tuple[str, bool]:
    """Ask for the rest of a file, append what comes; return the server's mark of the version, and whether it is whole.

    What another process left is gone on with only where a digest tells whether the two parts belong together.
    """
    have = file.tell()
    if have and not (mark or remote.digest):
        have = _empty(file)
    asked = urllib.request.Request(remote.address, headers={"User-Agent": f"prunebench/{__version__}"})  # noqa: S310 - of our tables, or opened by a guard
    if have:
        asked.add_header("Range", f"bytes={have}-")
        if mark:
            asked.add_header("If-Range", mark)
    try:
        answer = remote.through(asked, _PATIENCE)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return mark, True  # nothing is missing, or the digest will say
        raise
    with answer:
        head = answer.read(_HEAD)
        if answer.headers.get_content_type() == "text/html" or (not have and _PAGE.match(head)):
            raise PageError(_of_page(remote, head), head + answer.read(1 << 20), answer.url)
        if answer.status != http.HTTPStatus.PARTIAL_CONTENT and have:
            have = _empty(file)  # another version, or a server that knows no parts
        total = have + int(answer.headers.get("Content-Length") or 0)
        remote.hold(total)
        strong = answer.headers.get("ETag") or ""
        file.write(head)
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
            remote.hold(file.tell())
            _SHOW.get()(remote.name, file.tell(), total)
        known = "Content-Length" in answer.headers
        return ("" if strong.startswith("W/") else strong), not known or file.tell() >= total


def _of_page(remote: Remote, head: bytes) -> str:
    title = _TITLE.search(head)
    called = f" called {title[1][:100].decode(errors='replace')!r}" if title else ""
    return f"{remote.address} answered with a web page{called} instead of the file {remote.name}"


def _wait(error: Exception, idle: int) -> float | None:
    """Return how many seconds to wait before asking again; None where it is of no use."""
    if isinstance(error, urllib.error.HTTPError):
        if error.code not in _BUSY:
            return None
        asked = error.headers.get("Retry-After", "")
        return min(float(asked) if asked.isdecimal() else 2.0**idle, _LONGEST)
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    broken = isinstance(reason, ConnectionResetError | TimeoutError | http.client.HTTPException)
    return min(0.5 * 2.0**idle, _LONGEST) if broken else None


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}".rstrip()
    return (str(getattr(error, "reason", "")) or str(error) or type(error).__name__).rstrip(".")

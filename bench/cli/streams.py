"""Standard output and standard error that stand any locale, a full disk, and a reader who leaves early."""

import codecs
import io
import os
import sys
from typing import Any

from bench.errors import BenchError

_SPELLING = "bench-spelling"
_SIGNS = {"×": "x", "·": ".", "█": "#", "–": "-", "—": "-", "…": "...", "→": "->", "≤": "<=", "≥": ">=", "²": "2"}
"""What stands for a sign where the terminal knows no such; one for one wherever a table counts columns."""


def install() -> None:
    """Let everything that this process prints go through streams that fail as a command should.

    A reader who leaves (``bench list models | head -1``) takes nothing away from the command, whose exit code says what
    it found. Standard output that cannot be written is an error; standard error that cannot is none, for nobody waits
    for it. Signs that the terminal's encoding lacks are spelt with signs that it has.
    """
    codecs.register_error(_SPELLING, _spelt)
    for name, says in (("stdout", "standard output"), ("stderr", None)):
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper):
            continue  # closed from the start, or somebody else's
        stream.flush()
        channel = io.BufferedWriter(_Channel(stream.fileno(), says))
        known = stream.line_buffering
        setattr(sys, name, io.TextIOWrapper(channel, stream.encoding, _SPELLING, line_buffering=known))


class _Channel(io.RawIOBase):
    """A descriptor to write to; after its first failure all else goes nowhere."""

    def __init__(self, descriptor: int, says: str | None) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._says = says

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Tell whether it is a terminal."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """Say that it can be written to."""
        return True

    def write(self, data: Any, /) -> int:
        """Write some bytes; what nobody reads counts as written.

        Raises:
            BenchError: if results cannot be written.
        """
        try:
            return os.write(self._descriptor, data)
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._descriptor)
            os.close(nowhere)
            if self._says is None or isinstance(error, BrokenPipeError):
                return len(data)
            raise BenchError(f"{self._says} cannot be written ({error.strerror}).") from None


def _spelt(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_SIGNS.get(sign) or ascii(sign)[1:-1] for sign in lacking), error.end

"""What a hostile test hands in costs little, and makes nothing that is written outside of the tests' own folders."""

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import pytest

MEMORY = 2**20
"""Kibibytes that the process may grow by."""
SECONDS = 30.0
"""Of a processor."""
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {
    "os.mkdir": ((0, 2),), "os.rename": ((0, 2), (1, 3)), "os.link": ((1, 3),), "os.symlink": ((1, 2),),
    "os.remove": ((0, 1),), "os.rmdir": ((0, 1),), "os.chmod": ((0, 2),),
}  # fmt: skip
"""Calls that change a folder; which of their words name what is changed, and the open folder that a name starts in."""
_heard: list[Path] | None = None


def _hear(event, words):
    if _heard is None:
        return
    if event == "open" and isinstance(words[0], str | bytes) and isinstance(words[2], int) and words[2] & _WRITES:
        _heard.append(Path(os.fsdecode(words[0])).absolute().resolve())
    for name, folder in _CHANGES.get(event, ()):
        if isinstance(words[name], str | bytes):  # the link itself, not where it leads
            start = Path.cwd() if words[folder] == -1 else Path(f"/proc/self/fd/{words[folder]}")
            path = start / os.fsdecode(words[name])
            _heard.append(path.parent.resolve() / path.name)


sys.addaudithook(_hear)


@pytest.fixture(autouse=True)
def _modest(request):
    """Hold a test to the memory, the seconds and the places that a submission may take."""
    global _heard  # noqa: PLW0603 - an audit hook cannot be taken out again
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    _heard = heard = []
    try:
        yield
    finally:
        _heard = None
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY
    assert time.process_time() - started < SECONDS or hasattr(request.function, "hypothesis")  # many cases in one
    own = Path(tempfile.gettempdir()).resolve()
    python = {"__pycache__", ".hypothesis"}
    strange = [path for path in heard if not (path.is_relative_to(own) or python & set(path.parts))]
    assert set(strange) <= {Path("/dev/null")}, f"written outside of the tests' folders: {strange[:5]}"

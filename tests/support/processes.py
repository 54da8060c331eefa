"""The command line as processes: started, watched, found in the middle of their work."""

import re
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "bench", *words]


def bench(cwd: Path, *words: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words), cwd=cwd, capture_output=True, text=True, check=False, timeout=300, **options
    )  # fmt: skip


@contextmanager
def running(cwd: Path, *words: str):
    with subprocess.Popen(
        command(*words), cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def last_line(said: str) -> str:
    assert "Traceback" not in said
    return said.splitlines()[-1]


def wait_for(what: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 240
    while not what():
        assert process.poll() is None, "ended too early"
        assert time.monotonic() < deadline
        time.sleep(0.005)


def in_the_middle_of(cell: Path) -> bool:
    """Tell whether a cell has some batches behind it and is not finished."""
    lines = cell.with_name(f"{cell.name}.partial") / "journal.jsonl"
    return lines.exists() and lines.read_bytes().count(b"\n") >= 5


def holder(cell: Path) -> int:
    return int(re.match(r"process (\d+) ", (cell.with_name(f"{cell.name}.partial") / "lock").read_text())[1])

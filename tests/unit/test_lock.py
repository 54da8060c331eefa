"""One process at a time makes an output folder; the dead hold nothing."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.errors import BenchError, UsageError
from bench.lock import FILE, held

HOLD = """
import sys, time
from pathlib import Path
from bench.lock import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""
CONTEND = """
import os, sys
from pathlib import Path
from bench.errors import UsageError
from bench.lock import held
out, inside, entered = Path(sys.argv[1]), Path(sys.argv[1] + ".inside"), 0
while entered < 100:
    try:
        with held(out):
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
            inside.unlink()
            entered += 1
    except UsageError:
        pass
"""


def start(script: str, out: Path, stdout: int | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", script, str(out)], stdout=stdout, text=True)


def test_a_second_process_hears_who_holds_the_folder_and_gets_it_when_that_one_is_killed(tmp_path):
    out = tmp_path / "deep" / "run"
    with start(HOLD, out, subprocess.PIPE) as other:
        assert other.stdout.readline() == "held\n"
        with (
            pytest.raises(UsageError, match=rf"run' is being made by process {other.pid} on .* since 2\d\d\d-"),
            held(out),
        ):
            pass
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert (tmp_path / "deep" / "run.partial" / FILE).exists()
    with held(out) as folder:
        assert folder == tmp_path / "deep" / "run.partial"
        assert f"process {os.getpid()} " in (folder / FILE).read_text()


def test_an_empty_folder_goes_and_work_stays(tmp_path):
    with held(tmp_path / "run"):
        pass
    assert list(tmp_path.iterdir()) == []
    with held(tmp_path / "run") as folder:
        (folder / "work").write_text("precious")
    assert [path.name for path in folder.iterdir()] == ["work"]


def test_two_processes_never_hold_a_folder_that_comes_and_goes(tmp_path):
    crowd = [start(CONTEND, tmp_path / "run") for _ in range(3)]
    assert [process.wait(60) for process in crowd] == [0, 0, 0]
    assert list(tmp_path.iterdir()) == []


def test_a_lock_file_of_any_bytes_is_no_obstacle(tmp_path):
    (tmp_path / "run.partial").mkdir()
    (tmp_path / "run.partial" / FILE).write_bytes(b"\xff\x00process 1 since ever" * 100)
    with held(tmp_path / "run") as folder:
        assert (folder / FILE).stat().st_size < 200


def test_a_file_in_the_place_of_the_folder_gets_a_sentence(tmp_path):
    (tmp_path / "run.partial").write_text("mine")
    with pytest.raises(BenchError, match=r"cannot work in '.*run.partial' \(File exists\)"), held(tmp_path / "run"):
        pass
    assert (tmp_path / "run.partial").read_text() == "mine"


def test_a_place_that_cannot_be_written_and_a_file_system_without_locks_get_a_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(BenchError, match=r"cannot work in .*run.partial' \(Not a directory\); choose another --out"),
        held(tmp_path / "file" / "run"),
    ):
        pass

    def none(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(BenchError, match="keeps no locks"), held(tmp_path / "run"):
        pass

"""What is printed stands any locale, a full disk and a reader who leaves, and the exit code says what was found."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
FULL = Path("/dev/full")
NAME = "p\u00e4r\u00d7ly"
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def bench(*words: str, **options) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "bench", *words]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run(command, check=False, timeout=120, **streams)


def gone() -> int:
    """Return the end of a pipe that nobody reads from."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.fixture
def broken(tmp_path) -> str:
    """Return a folder that is no submission, under a name that ASCII lacks."""
    (tmp_path / NAME).mkdir()
    return str(tmp_path / NAME)


@pytest.mark.parametrize(
    ("environment", "spelt", "name"),
    [
        ({"PYTHONIOENCODING": "ascii"}, b"p\\xe4rxly: ", NAME),
        (
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            b"p\\udcc3\\udca4r\\udcc3\\udc97ly: ",
            "p\\udcc3\\udca4r\\udcc3\\udc97ly",
        ),
    ],
    ids=["encoding", "locale"],
)
def test_a_terminal_of_ascii_gets_ascii(broken, environment, spelt, name):
    surroundings = {**os.environ, **environment}
    for words in (["protocol", "show", "digits-v1"], ["list", "datasets"], ["--help"]):
        done = bench(*words, env=surroundings)
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.isascii()
    done = bench("submission", "check", broken, env=surroundings)
    assert done.returncode == 3
    assert spelt in done.stdout
    assert (done.stdout + done.stderr).isascii()
    done = bench("submission", "check", broken, "--json", env=surroundings)
    assert done.stdout.isascii()
    assert [Path(folder).name for folder in json.loads(done.stdout)["problems"]] == [name]


@pytest.mark.parametrize(
    "words", [["list", "protocols"], ["list", "protocols", "--json"], ["--help"], ["site", "--help"]]
)
@needs_full
def test_results_that_nobody_can_keep_are_an_error(words):
    with FULL.open("wb") as full:
        done = bench(*words, stdout=full)
    assert done.stderr == b"bench: standard output cannot be written (No space left on device).\n"
    assert done.returncode == 1


@needs_full
def test_words_that_nobody_can_keep_are_none(broken):
    with FULL.open("wb") as full:
        done = bench("submission", "check", broken, stderr=full)
        wrong = bench("lst", stderr=full)
    assert done.returncode == 3
    assert done.stdout.count(b"\n") >= 1
    assert wrong.returncode == 2


def test_a_reader_who_leaves_takes_nothing_from_the_exit_code(broken):
    for words, code in ((["list", "protocols"], 0), (["--help"], 0), (["submission", "check", broken], 3)):
        for stream in ("stdout", "stderr"):
            end = gone()
            done = bench(*words, **{stream: end})
            os.close(end)
            assert done.returncode == code
            assert b"Traceback" not in (done.stdout or b"") + (done.stderr or b"")
            assert b"Exception ignored" not in (done.stderr or b"")


def test_the_first_lines_of_much_are_the_first_lines(tmp_path):
    """More than a pipe holds, so that the reader leaves while there is more to come."""
    for index in range(400):
        (tmp_path / f"{index:03}{'x' * 200}").mkdir()
    done = subprocess.run(
        f"set -o pipefail; {sys.executable} -m bench submission check {tmp_path}/* | head -1",
        shell=True, executable="/bin/bash", capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stdout.count(b"\n") == 1
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("closed", ["1", "2"])
def test_a_stream_that_is_closed_from_the_start_is_no_crash(closed):
    done = subprocess.run(
        f"{sys.executable} -m bench list protocols {closed}>&-",
        shell=True, executable="/bin/bash", capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0
    assert b"Traceback" not in done.stdout + done.stderr


def test_a_name_of_any_bytes_is_printed(tmp_path):
    folder = tmp_path / os.fsdecode(b"\xff\x1b[31m")
    folder.mkdir()
    for more in ([], ["--json"]):
        done = bench("submission", "check", os.fsencode(folder), *more)
        assert done.returncode == 3
        assert b"\x1b" not in done.stdout
        assert b"Traceback" not in done.stderr

"""Processes are killed, disks are full, two runs meet: the same command goes on, and gives what it would have given."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pytest

MODEL = ["--model", "embedded:digits-tiny-linf", "--protocol", "digits-smoke-v1", "--limit", "6"]
SWEEP = ["sweep", *MODEL, "--recipe", "magnitude-global", "--sparsity", "1/2", "--out", "grid"]
DENSE = "digits-tiny-linf--dense--points-0-6"
PRUNED = "digits-tiny-linf--magnitude-global-50--points-0-6"


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


def told(cell: Path) -> dict[str, object]:
    """Return all that a result says but for the clock, and the bytes of the files beside it."""
    result = json.loads((cell / "result.json").read_bytes())
    del result["cost"]["seconds"], result["cost"]["latency"]
    files = {name: (cell / name).read_bytes() for name in ("points.npz", "witnesses.npz")}
    assert {path.name for path in cell.iterdir()} == {"result.json", "journal", *files}
    return {"result": result, **files}


@pytest.fixture(scope="module")
def grid(tmp_path_factory) -> Path:
    """Return a folder with the two cells of an undisturbed sweep."""
    folder = tmp_path_factory.mktemp("undisturbed")
    done = bench(folder, *SWEEP)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (folder / "grid").iterdir()} == {DENSE, PRUNED}
    return folder / "grid"


def test_killed_workers_and_sweeps_cost_their_cell_alone_and_the_same_command_goes_on(grid, tmp_path):
    with running(tmp_path, *SWEEP) as sweep:
        wait_for(lambda: in_the_middle_of(tmp_path / "grid" / DENSE), sweep)
        os.kill(holder(tmp_path / "grid" / DENSE), signal.SIGKILL)
        said = sweep.communicate(timeout=60)[0]
    assert sweep.returncode == 1
    assert f"{DENSE}: its process was ended by SIGKILL, as a system does that runs out of memory" in said
    assert f"{PRUNED}: not measured, for its dense parent {DENSE} failed" in said
    assert "2 of 2 cells failed; the same command goes on with them." in said
    assert "Traceback" not in said
    with running(tmp_path, *SWEEP) as sweep:
        wait_for(lambda: in_the_middle_of(tmp_path / "grid" / PRUNED), sweep)
        sweep.kill()
        sweep.communicate(timeout=20)  # ends once nobody is left who could print: its worker is gone too
    last = bench(tmp_path, *SWEEP)
    assert last.returncode == 0, last.stderr
    assert f"{DENSE}: there already" in last.stderr
    assert {path.name for path in (tmp_path / "grid").iterdir()} == {DENSE, PRUNED}
    for name in (DENSE, PRUNED):
        assert told(tmp_path / "grid" / name) == told(grid / name)


def test_a_second_run_hears_who_is_at_it_and_a_killed_one_goes_on_from_what_is_whole(grid, tmp_path):
    evaluate = ["evaluate", *MODEL, "--out", DENSE]
    with running(tmp_path, *evaluate) as first:
        wait_for(lambda: in_the_middle_of(tmp_path / DENSE), first)
        first.send_signal(signal.SIGSTOP)
        second = bench(tmp_path, *evaluate, "--no-resume")
        first.kill()
        first.communicate(timeout=20)
    assert second.returncode == 2
    sentence = rf"bench: '{DENSE}' is being made by process {first.pid} on .* since .*; wait for it, end it, or .*\."
    assert re.fullmatch(sentence, last_line(second.stderr))
    journal = tmp_path / f"{DENSE}.partial" / "journal.jsonl"
    lines = journal.read_bytes().split(b"\n")
    journal.write_bytes(b"\n".join([b"\x00\xff" * 40, *lines[1:4], lines[4][:30]]))
    resumed = bench(tmp_path, *evaluate)
    assert resumed.returncode == 0, resumed.stderr
    assert "Part of the unfinished work" in resumed.stderr
    assert told(tmp_path / DENSE) == told(grid / DENSE)
    seconds = json.loads((tmp_path / DENSE / "result.json").read_bytes())["cost"]["seconds"]
    assert seconds > json.loads(lines[3])["seconds"] > 0
    assert [path.name for path in tmp_path.iterdir()] == [DENSE]


def test_a_disk_that_fills_is_one_sentence_and_loses_nothing(grid, tmp_path):
    room = 2000  # bytes per file: candidates or the journal outgrow it

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    evaluate = ["evaluate", *MODEL, "--out", DENSE]
    full = bench(tmp_path, *evaluate, preexec_fn=small)
    assert full.returncode == 1
    assert re.fullmatch(r"bench: cannot write .*\(File too large\).*\.", last_line(full.stderr))
    assert 0 < (tmp_path / f"{DENSE}.partial" / "journal.jsonl").stat().st_size <= room
    assert not (tmp_path / DENSE).exists()
    again = bench(tmp_path, *evaluate)
    assert again.returncode == 0, again.stderr
    assert told(tmp_path / DENSE) == told(grid / DENSE)


def test_a_damaged_result_is_one_failed_cell(grid, tmp_path):
    (tmp_path / "grid" / DENSE).mkdir(parents=True)
    (tmp_path / "grid" / DENSE / "result.json").write_bytes(b"{\xff\x00")
    done = bench(tmp_path, *SWEEP)
    assert done.returncode == 1
    assert f"{DENSE}: what is there is no result; remove 'grid/{DENSE}' to measure it: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "grid" / PRUNED).exists()

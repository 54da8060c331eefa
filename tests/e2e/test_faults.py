"""Processes are killed, disks are full, two runs meet: the same command goes on, and gives what it would have given."""

import json
import os
import re
import resource
import signal
from pathlib import Path

import pytest

from tests.support.processes import bench, holder, in_the_middle_of, last_line, running, wait_for
from tests.support.runs import told

MODEL = ["--model", "embedded:digits-tiny-linf", "--protocol", "digits-smoke-v1", "--limit", "6"]
SWEEP = ["sweep", *MODEL, "--recipe", "magnitude-global", "--sparsity", "1/2", "--out", "grid"]
DENSE = "digits-tiny-linf--dense--points-0-6"
RECORD = {"sweep.json", "sweep.jsonl"}
PRUNED = "digits-tiny-linf--magnitude-global-50--points-0-6"


@pytest.fixture(scope="module")
def grid(tmp_path_factory) -> Path:
    """Return a folder with the two cells of an undisturbed sweep."""
    folder = tmp_path_factory.mktemp("undisturbed")
    done = bench(folder, *SWEEP)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (folder / "grid").iterdir()} == {DENSE, PRUNED, *RECORD}
    return folder / "grid"


def test_killed_workers_and_sweeps_cost_nothing_but_their_batch_and_the_same_command_goes_on(grid, tmp_path):
    with running(tmp_path, *SWEEP) as sweep:
        wait_for(lambda: in_the_middle_of(tmp_path / "grid" / DENSE), sweep)
        os.kill(holder(tmp_path / "grid" / DENSE), signal.SIGKILL)
        wait_for(lambda: in_the_middle_of(tmp_path / "grid" / PRUNED), sweep)
        worker = holder(tmp_path / "grid" / PRUNED)
        os.kill(worker, signal.SIGSTOP)  # so that it is still at it when somebody asks
        seen = bench(tmp_path, "sweep", "status", "grid", "--json")
        sweep.kill()
        os.kill(worker, signal.SIGCONT)
        said = sweep.communicate(timeout=20)[0]  # ends once nobody is left who could print: its worker is gone too
    assert f"{DENSE}: its process was ended by SIGKILL, as a system does that runs out of memory; it is tried" in said
    assert f"{DENSE}: measured" in said
    assert "Traceback" not in said
    assert seen.returncode == 6
    status = json.loads(seen.stdout)
    assert f"process {sweep.pid} " in status["holder"]
    assert [cell["state"] for cell in status["cells"]] == ["done", "running"]
    assert status["cells"][1]["batches"] >= 5
    with (tmp_path / "grid" / "sweep.jsonl").open("ab") as record:
        record.write(b'{"cell": "torn')
    stopped = bench(tmp_path, "sweep", "status", "grid", "--html", "page.html")
    assert "Nobody carries it out now." in stopped.stderr
    assert "1 lines of its record are damaged" in stopped.stderr
    assert "interrupted" in (tmp_path / "page.html").read_text()
    last = bench(tmp_path, *SWEEP)
    assert last.returncode == 0, last.stderr
    assert f"{DENSE}: there already" in last.stderr
    assert {path.name for path in (tmp_path / "grid").iterdir()} == {DENSE, PRUNED, *RECORD}
    for name in (DENSE, PRUNED):
        assert told(tmp_path / "grid" / name, passes=False) == told(grid / name, passes=False)
    assert bench(tmp_path, "sweep", "status", "grid").returncode == 0


def test_two_sweeps_do_not_meet_in_one_folder(tmp_path):
    with running(tmp_path, *SWEEP) as first:
        wait_for((tmp_path / "grid" / "sweep.json").exists, first)
        second = bench(tmp_path, *SWEEP)
        first.send_signal(signal.SIGINT)
        said = first.communicate(timeout=60)[0]
    assert second.returncode == 2
    assert f"is being made by process {first.pid} on " in last_line(second.stderr)
    assert first.returncode == 130
    assert "What was finished is kept; the same command goes on from there." in said
    assert "Traceback" not in said


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

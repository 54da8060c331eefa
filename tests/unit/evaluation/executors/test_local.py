"""Workers die alone: their task fails with a sentence, the others end, and nothing outlives whoever started them."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
import torch

from bench.evaluation.executors.executor import Ended
from bench.evaluation.executors.local import Local
from bench.protocol.load import load

sys.path.insert(0, str(Path(__file__).parents[3] / "support"))  # workers look there, too; a stray `tests` hides ours
from executor_tasks import plainly, saying, slowly

DRIVER = """
import os, time
from contextlib import closing
from functools import partial
from pathlib import Path
from bench.evaluation.executors.local import Local
from executor_tasks import plainly
if __name__ == "__main__":
    with closing(Local(2, 1)) as executor:
        for name in "ab":
            executor.submit(name, partial(plainly, os.getpid))
        print(*[ended.value for ended in executor.ended()], flush=True)
        for name in "ab":
            executor.submit(name, partial(plainly, time.sleep, 60))
        list(executor.ended())
"""


def carried_out(workers: int, **tasks) -> dict[str, Ended]:
    with closing(Local(workers, 1)) as executor:
        for name, task in tasks.items():
            executor.submit(name, task)
        return {ended.name: ended for ended in executor.ended()}


def lives(pid: int) -> bool:
    """Tell whether a process runs; one that ended and that nobody asked after does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


def ended_within(seconds: float, *pids: int) -> bool:
    deadline = time.monotonic() + seconds
    while any(map(lives, pids)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_a_worker_that_the_system_kills_is_one_failed_task():
    found = carried_out(
        1,
        first=partial(plainly, abs, -1),
        killed=partial(plainly, signal.raise_signal, signal.SIGKILL),
        ended=partial(plainly, os._exit, 3),
        last=partial(plainly, abs, -2),
    )
    assert found["first"] == Ended("first", 1, None)
    assert found["killed"].fault == "its process was ended by SIGKILL, as a system does that runs out of memory"
    assert found["ended"].fault == "its process ended by itself with code 3"
    assert found["last"] == Ended("last", 2, None)


def test_errors_are_sentences_and_leave_the_worker_alive():
    found = carried_out(
        1,
        before=partial(plainly, os.getpid),
        refused=partial(plainly, load, "digit-v1"),
        bug=partial(plainly, int, "x"),
        after=partial(plainly, os.getpid),
    )
    assert "Did you mean" in found["refused"].fault
    assert found["bug"].fault.startswith("it crashed: ValueError: invalid literal for int() with base 10: 'x' (")
    assert found["before"].value == found["after"].value != os.getpid()


def test_what_a_task_says_is_heard_before_its_end_and_a_full_memory_is_no_end_of_its_own():
    heard = []
    with closing(Local(1, 1)) as executor:
        executor.submit("talks", partial(saying, ["a", "b"]))
        executor.submit("full", partial(plainly, bytearray, 1 << 60))
        ended = {one.name: one for one in executor.ended(lambda name, word: heard.append((name, word)))}
    assert heard == [("talks", "a"), ("talks", "b")]
    assert ended["talks"] == Ended("talks", "said", None)
    assert (ended["full"].lost, ended["talks"].lost) == ("memory", None)


def test_each_worker_sees_an_accelerator_of_its_own(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with closing(Local(2, 1, accelerators=2)) as executor:
        for name in "ab":
            executor.submit(name, partial(slowly, "CUDA_VISIBLE_DEVICES"))
        assert sorted(ended.value for ended in executor.ended()) == ["0", "1"]
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_an_idle_worker_that_is_gone_is_replaced():
    with closing(Local(1, 1)) as executor:
        executor.submit("a", partial(plainly, os.getpid))
        (first,) = executor.ended()
        os.kill(first.value, signal.SIGKILL)
        assert ended_within(10, first.value)
        executor.submit("b", partial(plainly, os.getpid))
        (second,) = executor.ended()
    assert second.fault is None
    assert second.value != first.value


def test_tasks_may_follow_from_tasks():
    with closing(Local(2, 1)) as executor:
        executor.submit("1", partial(plainly, abs, -1))
        values = []
        for ended in executor.ended():
            values.append(ended.value)
            if ended.value < 4:
                executor.submit(str(ended.value + 1), partial(plainly, abs, -1 - ended.value))
    assert values == [1, 2, 3, 4]


def test_a_worker_and_what_it_starts_compute_with_its_share_of_threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with closing(Local(1, 1)) as executor:
        executor.submit("torch", partial(plainly, torch.get_num_threads))
        executor.submit("started", partial(plainly, os.getenv, "OMP_NUM_THREADS"))
        assert [ended.value for ended in executor.ended()] == [1, "1"]
    assert os.environ["OMP_NUM_THREADS"] == "2"


def test_closing_ends_what_runs():
    executor = Local(2, 1)
    executor.submit("quick", partial(plainly, os.getpid))
    executor.submit("endless", partial(plainly, time.sleep, 600))
    ended = executor.ended()
    pid = next(ended).value
    started = time.monotonic()
    executor.close()
    assert time.monotonic() - started < 5
    assert not lives(pid)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_worker_outlives_its_parent(tmp_path, root, how):
    (tmp_path / "driver.py").write_text(DRIVER)
    with subprocess.Popen(
        [sys.executable, tmp_path / "driver.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{root}:{root / 'tests' / 'support'}"},
    ) as driver:
        workers = [int(word) for word in driver.stdout.readline().split()]
        assert len(workers) == 2
        assert all(map(lives, workers))
        driver.send_signal(how)
        assert ended_within(10, *workers)
        driver.wait(10)

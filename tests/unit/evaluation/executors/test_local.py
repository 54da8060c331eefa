"""Workers die alone: their task fails with a sentence, the others end, and nothing outlives whoever started them."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from functools import partial

import pytest
import torch

from bench.evaluation.executors.executor import Ended
from bench.evaluation.executors.local import Local
from bench.protocol.load import load

DRIVER = """
import os, time
from contextlib import closing
from functools import partial
from bench.evaluation.executors.local import Local
if __name__ == "__main__":
    with closing(Local(2, 1)) as executor:
        for name in "ab":
            executor.submit(name, os.getpid)
        print(*[ended.value for ended in executor.ended()], flush=True)
        for name in "ab":
            executor.submit(name, partial(time.sleep, 60))
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
        first=partial(abs, -1),
        killed=partial(signal.raise_signal, signal.SIGKILL),
        ended=partial(os._exit, 3),
        last=partial(abs, -2),
    )
    assert found["first"] == Ended("first", 1, None)
    assert found["killed"].fault == "its process was ended by SIGKILL, as a system does that runs out of memory"
    assert found["ended"].fault == "its process ended by itself with code 3"
    assert found["last"] == Ended("last", 2, None)


def test_errors_are_sentences_and_leave_the_worker_alive():
    found = carried_out(1, before=os.getpid, refused=partial(load, "digit-v1"), bug=partial(int, "x"), after=os.getpid)
    assert "Did you mean" in found["refused"].fault
    assert found["bug"].fault.startswith("it crashed: ValueError: invalid literal for int() with base 10: 'x' (")
    assert found["before"].value == found["after"].value != os.getpid()


def test_an_idle_worker_that_is_gone_is_replaced():
    with closing(Local(1, 1)) as executor:
        executor.submit("a", os.getpid)
        (first,) = executor.ended()
        os.kill(first.value, signal.SIGKILL)
        assert ended_within(10, first.value)
        executor.submit("b", os.getpid)
        (second,) = executor.ended()
    assert second.fault is None
    assert second.value != first.value


def test_tasks_may_follow_from_tasks():
    with closing(Local(2, 1)) as executor:
        executor.submit("1", partial(abs, -1))
        values = []
        for ended in executor.ended():
            values.append(ended.value)
            if ended.value < 4:
                executor.submit(str(ended.value + 1), partial(abs, -1 - ended.value))
    assert values == [1, 2, 3, 4]


def test_a_worker_and_what_it_starts_compute_with_its_share_of_threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with closing(Local(1, 1)) as executor:
        executor.submit("torch", torch.get_num_threads)
        executor.submit("started", partial(os.getenv, "OMP_NUM_THREADS"))
        assert [ended.value for ended in executor.ended()] == [1, "1"]
    assert os.environ["OMP_NUM_THREADS"] == "2"


def test_closing_ends_what_runs():
    executor = Local(2, 1)
    executor.submit("quick", os.getpid)
    executor.submit("endless", partial(time.sleep, 600))
    ended = executor.ended()
    pid = next(ended).value
    started = time.monotonic()
    executor.close()
    assert time.monotonic() - started < 5
    assert not lives(pid)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_worker_outlives_its_parent(tmp_path, how):
    (tmp_path / "driver.py").write_text(DRIVER)
    with subprocess.Popen(
        [sys.executable, tmp_path / "driver.py"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as driver:
        workers = [int(word) for word in driver.stdout.readline().split()]
        assert len(workers) == 2
        assert all(map(lives, workers))
        driver.send_signal(how)
        assert ended_within(10, *workers)
        driver.wait(10)

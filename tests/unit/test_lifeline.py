"""Whatever a process started ends with it, when it is killed too, and says nothing at Ctrl-C."""

import os
import signal
import subprocess
import sys
import time

import pytest

POOL = """
import multiprocessing, os, time
from concurrent.futures import ProcessPoolExecutor
from bench.lifeline import end_with_parent
if __name__ == "__main__":
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), end_with_parent) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        {then}
"""
MAKER = """
import os, time
def rebuild():
    print(os.getpid(), flush=True)
    time.sleep(60)
"""
REPLAY = """
from bench.evaluation.checks.zoo import replay
from maker import rebuild
replay._elsewhere(rebuild, {}, 1.0, None)  # unguarded, as scripts are: what starts does not run this program again
"""
SCRIPTS = {
    "an idle pool": POOL.format(then="time.sleep(60)"),
    "a busy pool": POOL.format(then="pool.submit(time.sleep, 60).result()"),
    "replay": REPLAY,
}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_child_ends_with_its_parent(tmp_path, script, how):
    (tmp_path / "driver.py").write_text(SCRIPTS[script])
    (tmp_path / "maker.py").write_text(MAKER)
    with subprocess.Popen(
        [sys.executable, "driver.py"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as driver:  # fmt: skip
        child = int(driver.stdout.readline())
        os.killpg(driver.pid, how) if how is signal.SIGINT else driver.send_signal(how)
        # standard output closes once nobody is left who could write to it
        started = time.monotonic()
        driver.stdout.read()
        said = driver.stderr.read()
    assert time.monotonic() - started < 10, f"{child} lived on"
    assert said.count("Traceback") == (how is signal.SIGINT), said

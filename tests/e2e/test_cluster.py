"""A Ray cluster of processes gives the bytes that this process gives, loses nothing with a worker, and leaves none."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.processes import bench, in_the_middle_of, running, wait_for
from tests.support.runs import told

GRID = ["sweep", "--protocol", "digits-smoke-v1", "--models", "embedded:digits-cnn-linf", "--recipes",
        "dense,magnitude-global", "--sparsities", "1/2,9/10", "--workers", "2"]  # fmt: skip


def cells(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def children(pid: int) -> list[tuple[int, str]]:
    """Return the processes below one, with their command lines."""
    lines = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    table = [line.split(None, 2) for line in lines.splitlines()]
    found, above = [], {pid}
    while above:
        below = [(int(one), args) for one, parent, args in table if int(parent) in above]
        found += below
        above = {one for one, _ in below}
    return found


@pytest.mark.soak
def test_three_executors_give_the_same_bytes_but_for_cost_and_environment(tmp_path):
    for executor in ("here", "local", "ray"):
        done = bench(tmp_path, *GRID, "--executor", executor, "--out", executor)
        assert done.returncode == 0, done.stderr
    names = cells(tmp_path / "here")
    assert len(names) == 3
    for executor in ("local", "ray"):
        assert cells(tmp_path / executor) == names
        for name in names:
            assert told(tmp_path / executor / name) == told(tmp_path / "here" / name)


@pytest.mark.soak
def test_a_worker_of_a_cluster_is_killed_and_the_cell_goes_on_from_its_last_batch(tmp_path):
    tiny = ["sweep", "--protocol", "digits-smoke-v1", "--models", "embedded:digits-tiny-linf", "--recipes", "dense",
            "--limit", "4", "--threat", "L2"]  # fmt: skip
    name = "digits-tiny-linf--dense--points-0-4--l2"
    assert bench(tmp_path, *tiny, "--executor", "here", "--out", "here").returncode == 0
    with running(tmp_path, *tiny, "--executor", "ray", "--workers", "1", "--out", "ray") as sweep:
        wait_for(lambda: in_the_middle_of(tmp_path / "ray" / name), sweep)
        started = children(sweep.pid)
        workers = [pid for pid, args in started if args.startswith("ray::_serve")]
        assert len(workers) == 1
        os.kill(workers[0], signal.SIGKILL)
        said = sweep.communicate(timeout=240)[0]
    assert sweep.returncode == 0, said
    assert f"{name}: its worker died, as one does that the system ends when memory runs out; it is tried again" in said
    assert told(tmp_path / "ray" / name, passes=False) == told(tmp_path / "here" / name, passes=False)
    assert not [args for pid, args in started if Path(f"/proc/{pid}/cmdline").exists() and args in ps(pid)]


@pytest.fixture
def nodes(tmp_path, monkeypatch):
    """Start a cluster of two node processes on loopback, one core each; yield its address and the second's process."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv(
        "RAY_AUTH_TOKEN", secrets.token_hex(32)
    )  # of this cluster alone, whatever its user has elsewhere
    ray, port = str(Path(sys.executable).with_name("ray")), free_port()
    env = {
        **os.environ,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_TMPDIR": f"{tempfile.gettempdir()}/r{os.getpid()}",
    }  # sockets need short names
    words = ["--node-ip-address=127.0.0.1", "--num-cpus=1", "--num-gpus=0", "--disable-usage-stats", "--block"]
    log = (tmp_path / "ray.log").open("w")
    head = subprocess.Popen(
        [ray, "start", "--head", f"--port={port}", "--include-dashboard=false", *words],
        env=env, stdout=log, stderr=log,
    )  # fmt: skip
    wait_for(lambda: answers(port), head)
    second = subprocess.Popen([ray, "start", f"--address=127.0.0.1:{port}", *words], env=env, stdout=log, stderr=log)
    try:
        yield f"127.0.0.1:{port}", second
    finally:
        for process in (second, head):
            below = [pid for pid, _ in children(process.pid)]
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
            for pid in below:
                if ps(pid):
                    os.kill(pid, signal.SIGKILL)
        log.close()
        shutil.rmtree(env["RAY_TMPDIR"], ignore_errors=True)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@pytest.mark.soak
def test_a_node_that_disappears_costs_the_batch_in_flight_alone(tmp_path, nodes):
    address, second = nodes
    grid = ["sweep", "--protocol", "digits-v1", "--models", "embedded:digits-tiny-linf,embedded:digits-mlp-linf",
            "--recipes", "dense", "--limit", "6"]  # fmt: skip
    assert bench(tmp_path, *grid, "--executor", "here", "--out", "here").returncode == 0
    names = cells(tmp_path / "here")
    words = [*grid, "--executor", "ray", "--address", address, "--workers", "2", "--out", "ray"]
    with running(tmp_path, *words) as sweep:
        wait_for(lambda: all(in_the_middle_of(tmp_path / "ray" / name) for name in names), sweep)
        below = children(second.pid)
        assert [args for _, args in below if args.startswith("ray::_serve")], below
        for pid, args in below:
            if "raylet" in args.split()[0]:
                os.kill(pid, signal.SIGKILL)
        said = sweep.communicate(timeout=280)[0]
    assert sweep.returncode == 0, said
    assert "; it is tried again" in said
    for name in names:
        assert told(tmp_path / "ray" / name, passes=False) == told(tmp_path / "here" / name, passes=False)


def ps(pid: int) -> str:
    return subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout


def test_where_ray_is_not_installed_or_no_cluster_runs_one_sentence_says_so(tmp_path):
    words = ["sweep", "--protocol", "digits-smoke-v1", "--models", "embedded:digits-tiny-linf", "--executor", "ray"]
    code = "import sys; sys.modules['ray'] = None\nfrom bench.cli.main import run\nsys.exit(run(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert "install it in a checkout of the project: pip install '.[ray]'" in done.stderr
    away = bench(tmp_path, *words, "--address", "127.0.0.1:1")
    assert away.returncode == 1
    assert away.stderr.splitlines()[-1].startswith("bench: cannot join a Ray cluster at 127.0.0.1:1: ")
    assert "Traceback" not in away.stderr

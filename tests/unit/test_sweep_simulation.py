"""The simulated cluster obeys what is true of every cluster."""

import importlib.util
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).parents[1] / "benchmarks" / "bench_sweep.py"


@pytest.fixture(scope="module")
def bench_sweep():
    spec = importlib.util.spec_from_file_location("bench_sweep", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("bench_sweep", None)


def task(seconds):
    return {"seconds": seconds, "messages": 0, "bytes": 0}


def test_work_is_never_done_sooner_than_its_longest_chain_or_its_share(bench_sweep):
    families = [([task(10)], [[task(5)], [task(7)], [task(1)]]), ([task(4)], [[task(2)]] * 6)]
    work, chain = 10 + 13 + 4 + 12, 17
    slack = 20 * (bench_sweep.Costs.SUBMIT + bench_sweep.Costs.LATENCY)
    assert work <= bench_sweep.makespan(families, 1) <= work + slack
    times = [bench_sweep.makespan(families, many) for many in (1, 2, 4, 8, 100)]
    for many, took in zip((1, 2, 4, 8, 100), times, strict=True):
        assert took >= max(chain, work / many)
    assert times[-1] <= chain + slack


def test_parts_shorten_the_longest_chain_and_the_whole_waits_for_all_of_them(bench_sweep):
    whole = task(40)
    parts = bench_sweep.cut(whole, 4, rest=8)
    assert [one["seconds"] for one in parts] == [8.5, 8.5, 8.5, 8.5, 8]
    took = bench_sweep.makespan([(parts, [])], 4)
    assert 16.5 <= took < 17
    assert bench_sweep.makespan([(parts, [])], 1) == pytest.approx(42, abs=0.2)


def test_a_driver_that_keeps_many_batches_is_what_many_workers_wait_for(bench_sweep):
    busy = {"seconds": 1.0, "messages": 1000, "bytes": 0}
    families = [([task(0)], [[dict(busy)] for _ in range(16)])]
    assert bench_sweep.makespan(families, 16) >= 16 * 1000 * bench_sweep.Costs.MESSAGE

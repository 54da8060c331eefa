"""Finished work survives a kill; broken work is done again."""

import time

import numpy as np
import pytest

from bench.attacks.attack import Passes
from bench.errors import UsageError
from bench.evaluation.search.journal import Entry, Journal

HEADER = {"protocol": "a", "seed": 0}


def entry(first: int) -> Entry:
    return Entry(np.arange(first, first + 2), np.full((2, 1, 2, 2), 0.5, np.float32), np.zeros(2, np.int64), 7, 3)


def test_work_is_found_again_after_a_restart(tmp_path):
    Journal.open(tmp_path / "run", HEADER, resume=True).add("a", entry(4))
    found = Journal.open(tmp_path / "run", HEADER, resume=True).find("a")
    assert found is not None
    assert found.ids.tolist() == [4, 5]
    assert found.images.dtype == np.float32
    assert (found.forwards, found.backwards) == (7, 3)


def test_a_torn_line_is_lost_work_and_nothing_else(tmp_path):
    journal = Journal.open(tmp_path / "run", HEADER, resume=True)
    journal.add("a", entry(0))
    journal.add("b", entry(2))
    lines = tmp_path / "run" / "journal.jsonl"
    lines.write_bytes(lines.read_bytes()[:-20])
    resumed = Journal.open(tmp_path / "run", HEADER, resume=True)
    assert resumed.find("a") is not None
    assert resumed.find("b") is None
    resumed.add("b", entry(2))
    assert len(Journal.open(tmp_path / "run", HEADER, resume=True)) == 2


def test_a_damaged_file_is_lost_work(tmp_path):
    journal = Journal.open(tmp_path / "run", HEADER, resume=True)
    journal.add("a", entry(0))
    (file,) = (tmp_path / "run").glob("*.npz")
    file.write_bytes(file.read_bytes()[:-5])
    assert Journal.open(tmp_path / "run", HEADER, resume=True).find("a") is None


def test_another_run_is_not_continued(tmp_path):
    Journal.open(tmp_path / "run", HEADER, resume=True)
    with pytest.raises(UsageError, match=r"unfinished run with another seed; start afresh with --no-resume"):
        Journal.open(tmp_path / "run", {**HEADER, "seed": 1}, resume=True)


def test_starting_afresh_forgets(tmp_path):
    Journal.open(tmp_path / "run", HEADER, resume=True).add("a", entry(0))
    assert Journal.open(tmp_path / "run", {"seed": 1}, resume=False).find("a") is None


def test_closing_leaves_nothing(tmp_path):
    journal = Journal.open(tmp_path / "run", HEADER, resume=True)
    journal.add("a", entry(0))
    journal.close()
    assert list((tmp_path / "run").iterdir()) == []


def test_a_resumed_run_counts_the_seconds_before_every_interruption(tmp_path):
    """Three parts of 5, 7 and 2 seconds; the time between the last batch of a part and its end is lost with it."""
    now = time.perf_counter()
    first = Journal.open(tmp_path / "run", HEADER, resume=True, since=now - 5)
    first.add("a", entry(0))
    second = Journal.open(tmp_path / "run", HEADER, resume=True, since=time.perf_counter() - 7)
    second.add("b", entry(2))
    third = Journal.open(tmp_path / "run", HEADER, resume=True, since=time.perf_counter() - 2)
    assert third.seconds == pytest.approx(5 + 7 + 2, abs=0.5)
    afresh = Journal.open(tmp_path / "run", HEADER, resume=False, since=time.perf_counter() - 2)
    assert afresh.seconds == pytest.approx(2, abs=0.5)


def test_finished_work_that_nobody_asks_for_again_was_spent_all_the_same(tmp_path):
    journal = Journal.open(tmp_path / "run", HEADER, resume=True)
    journal.add("a", entry(0))
    journal.add("b", entry(2))
    assert journal.unused == Passes(0, 0)
    resumed = Journal.open(tmp_path / "run", HEADER, resume=True)
    assert resumed.unused == Passes(14, 6)
    resumed.find("a")
    assert resumed.unused == Passes(7, 3)

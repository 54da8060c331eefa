"""Finished work survives a kill; broken work is done again."""

import time

import numpy as np
import pytest

from bench.attacks.attack import Passes
from bench.errors import UsageError
from bench.evaluation.search.journal import Batch, Entry, Journal, another

HEADER = {"protocol": "a", "seed": 0}


def entry(first: int) -> Entry:
    return Entry(np.arange(first, first + 2), np.full((2, 1, 2, 2), 0.5, np.float32), np.zeros(2, np.int64), 7, 3)


A, B = (Batch("Linf 1/10/apgd-t/0", (1, 2), (f"{name}1", f"{name}2")) for name in "ab")


def test_work_is_found_again_after_a_restart(tmp_path):
    Journal.open(tmp_path / "run", HEADER, resume=True).add(A, entry(4))
    found = Journal.open(tmp_path / "run", HEADER, resume=True).find(A.key)
    assert found is not None
    assert found.ids.tolist() == [4, 5]
    assert found.images.dtype == np.float32
    assert (found.forwards, found.backwards) == (7, 3)


def test_a_torn_line_is_lost_work_and_nothing_else(tmp_path):
    journal = Journal.open(tmp_path / "run", HEADER, resume=True)
    journal.add(A, entry(0))
    journal.add(B, entry(2))
    lines = tmp_path / "run" / "journal.jsonl"
    lines.write_bytes(lines.read_bytes()[:-20])
    resumed = Journal.open(tmp_path / "run", HEADER, resume=True)
    assert resumed.find(A.key) is not None
    assert resumed.find(B.key) is None
    resumed.add(B, entry(2))
    assert len(Journal.open(tmp_path / "run", HEADER, resume=True)) == 2


def test_a_damaged_file_is_lost_work(tmp_path):
    journal = Journal.open(tmp_path / "run", HEADER, resume=True)
    journal.add(A, entry(0))
    (file,) = (tmp_path / "run").glob("*.npz")
    file.write_bytes(file.read_bytes()[:-5])
    assert Journal.open(tmp_path / "run", HEADER, resume=True).find(A.key) is None


def test_another_run_is_not_continued(tmp_path):
    Journal.open(tmp_path / "run", HEADER, resume=True)
    with pytest.raises(UsageError, match=r"unfinished run with another seed; start afresh with --no-resume"):
        Journal.open(tmp_path / "run", {**HEADER, "seed": 1}, resume=True)


def test_starting_afresh_forgets(tmp_path):
    Journal.open(tmp_path / "run", HEADER, resume=True).add(A, entry(0))
    assert Journal.open(tmp_path / "run", {"seed": 1}, resume=False).find(A.key) is None


def test_what_is_kept_is_found_by_another_run_and_becomes_part_of_its_journal(tmp_path):
    first = Journal.open(tmp_path / "one.partial", HEADER, resume=True, since=time.perf_counter() - 60)
    first.add(A, entry(0))
    first.keep(tmp_path / "one" / "journal")
    assert list((tmp_path / "one.partial").iterdir()) == []
    second = Journal.open(tmp_path / "two", HEADER, resume=True, others=[tmp_path / "one" / "journal", tmp_path / "no"])
    assert len(second) == 0
    assert second.unused == Passes(0, 0), "what another run has spent is not this one's before it is used"
    assert second.where(A.work, 2) == {"a1": A.key, "a2": A.key}
    found = second.find(A.key)
    assert (found.ids.tolist(), found.forwards, found.backwards) == ([0, 1], 7, 3)
    assert second.seconds == pytest.approx(60, abs=2), "and then its time is, too"
    alone = Journal.open(tmp_path / "two", HEADER, resume=True)
    assert alone.find(A.key).images.tolist() == found.images.tolist()


def test_a_batch_costs_once_however_often_it_is_found(tmp_path):
    journal = Journal.open(tmp_path / "run", HEADER, resume=True)
    journal.add(A, entry(0))
    assert [(found.forwards, found.backwards) for found in map(journal.find, [A.key, A.key])] == [(0, 0), (0, 0)]
    resumed = Journal.open(tmp_path / "run", HEADER, resume=True)
    assert [(found.forwards, found.backwards) for found in map(resumed.find, [A.key, A.key])] == [(7, 3), (0, 0)]


def test_work_of_other_runs_and_damaged_work_are_passed_over_in_silence(tmp_path):
    Journal.open(tmp_path / "other", {**HEADER, "seed": 1}, resume=True).add(A, entry(0))
    Journal.open(tmp_path / "torn", HEADER, resume=True).add(B, entry(0))
    for path in (tmp_path / "torn").glob("*.npz"):
        path.write_bytes(b"")
    told = []
    others = [tmp_path / name for name in ("other", "torn")]
    journal = Journal.open(tmp_path / "run", HEADER, resume=True, others=others, tell=told.append)
    assert [journal.find(batch.key) for batch in (A, B)] == [None, None]
    assert told == []


def test_what_differs_between_two_runs_is_named(tmp_path):
    Journal.open(tmp_path / "run", HEADER, resume=True)
    assert another(tmp_path / "run", HEADER) == []
    assert another(tmp_path / "run", {"protocol": "b", "seed": 0, "commit": 1}) == ["commit", "protocol"]
    assert another(tmp_path / "nowhere", HEADER) is None
    (tmp_path / "run" / "run.json").write_text("{}", encoding="utf-8")
    assert another(tmp_path / "run", HEADER) is None


def test_a_resumed_run_counts_the_seconds_before_every_interruption(tmp_path):
    """Three parts of 5, 7 and 2 seconds; the time between the last batch of a part and its end is lost with it."""
    now = time.perf_counter()
    first = Journal.open(tmp_path / "run", HEADER, resume=True, since=now - 5)
    first.add(A, entry(0))
    second = Journal.open(tmp_path / "run", HEADER, resume=True, since=time.perf_counter() - 7)
    second.add(B, entry(2))
    third = Journal.open(tmp_path / "run", HEADER, resume=True, since=time.perf_counter() - 2)
    assert third.seconds == pytest.approx(5 + 7 + 2, abs=0.5)
    afresh = Journal.open(tmp_path / "run", HEADER, resume=False, since=time.perf_counter() - 2)
    assert afresh.seconds == pytest.approx(2, abs=0.5)


def test_finished_work_that_nobody_asks_for_again_was_spent_all_the_same(tmp_path):
    journal = Journal.open(tmp_path / "run", HEADER, resume=True)
    journal.add(A, entry(0))
    journal.add(B, entry(2))
    assert journal.unused == Passes(0, 0)
    resumed = Journal.open(tmp_path / "run", HEADER, resume=True)
    assert resumed.unused == Passes(14, 6)
    resumed.find(A.key)
    assert resumed.unused == Passes(7, 3)

"""Whatever happens to the bytes of unfinished work, a resumed run finds what is whole and nothing that is wrong."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.evaluation.search.journal import Batch, Entry, Journal

HEADER = {"protocol": "a", "seed": 0, "threats": ["Linf 1/10"], "commit": None}
BATCHES = 4
WORK = [Batch("Linf 1/10/apgd-ce/0123", (index,), ("45ab", "67cd")) for index in range(BATCHES)]
KEYS = [batch.key for batch in WORK]
FILES = ["run.json", "journal.jsonl", "npz"]

damage = st.one_of(
    st.binary(max_size=200).map(lambda new: lambda old: new),
    st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=20)).map(
        lambda how: lambda old: old[: int(how[0] * len(old))] + how[1] + old[int(how[0] * len(old)) + len(how[1]) :]
    ),
    st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=20)).map(
        lambda how: lambda old: old[: int(how[0] * len(old))] + how[1] + old[int(how[0] * len(old)) :]
    ),
    st.tuples(st.floats(0, 1), st.integers(0, 7)).map(lambda how: lambda old: flipped(old, *how)),
    st.floats(0, 1).map(lambda share: lambda old: old[: int(share * len(old))]),
    st.integers(1, 5000).map(lambda zeros: lambda old: old[:-zeros] + bytes(min(zeros, len(old)))),
)  # fmt: skip


def flipped(content: bytes, share: float, bit: int) -> bytes:
    changed = bytearray(content)
    changed[int(share * (len(content) - 1))] ^= 1 << bit
    return bytes(changed)


def entry(index: int) -> Entry:
    ids = np.arange(2 * index, 2 * index + 2)
    return Entry(ids, np.full((2, 1, 2, 2), index / 8, np.float32), np.full(2, index), 7 + index, 3 * index)


def same(found: Entry, wanted: Entry) -> bool:
    return (found.forwards, found.backwards) == (wanted.forwards, wanted.backwards) and all(
        np.array_equal(getattr(found, name), getattr(wanted, name)) for name in ("ids", "images", "rounds")
    )


@pytest.fixture(scope="module", autouse=True)
def _quick():
    """Leave the disk out of it: what is written is read back at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("work") / "run"
    journal = Journal.open(folder, HEADER, resume=True)
    for index, batch in enumerate(WORK):
        journal.add(batch, entry(index))
    return folder


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(FILES), change=damage)
@example(name="journal.jsonl", change=lambda old: old.replace(b'"forwards":8', b'"forwards":9'))
@example(name="journal.jsonl", change=lambda old: old.replace(b'"seconds":0', b'"seconds":9'))
@example(name="journal.jsonl", change=lambda old: old.replace(b'"rounds":[1]', b'"rounds":[2]'))
@example(name="journal.jsonl", change=lambda old: b"[" * 100_000 + b"\n" + old)
@example(name="run.json", change=lambda old: b"[" * 100_000)
@example(name="run.json", change=lambda old: b"9" * 5000)
@example(name="run.json", change=lambda old: b"null")
@example(name="run.json", change=lambda old: old.replace(b'"seed": 0', b'"seed": 1'))
def test_any_bytes_lose_no_more_than_their_own_batches(work, tmp_path, name, change):
    folder = tmp_path / "run"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(work, folder)
    path = min(folder.glob("*.npz")) if name == "npz" else folder / name
    before = path.read_bytes()
    path.write_bytes(change(before))
    told: list[str] = []
    journal = Journal.open(folder, HEADER, resume=True, tell=told.append)
    found = [journal.find(key) for key in KEYS]
    whole = [index for index, got in enumerate(found) if got is not None]
    assert all(same(found[index], entry(index)) for index in whole)
    lines = (folder / "journal.jsonl").read_bytes().split(b"\n")
    kept = sum(line in lines for line in (work / "journal.jsonl").read_bytes().split(b"\n")[:-1])
    assert len(whole) >= {"run.json": BATCHES, "journal.jsonl": kept, "npz": BATCHES - 1}[name]
    assert len(told) <= 1
    assert journal.seconds < 60
    assert journal.unused.forwards <= sum(entry(index).forwards for index in range(BATCHES))
    for index in set(range(BATCHES)) - set(whole):
        journal.add(WORK[index], entry(index))
    assert json.loads((folder / "run.json").read_bytes())["seed"] == 0
    again = Journal.open(folder, HEADER, resume=True)
    assert all(same(again.find(key), entry(index)) for index, key in enumerate(KEYS))


@pytest.mark.parametrize("name", FILES)
def test_damage_is_told_in_one_sentence(work, tmp_path, name):
    shutil.copytree(work, tmp_path / "run")
    for path in (tmp_path / "run").glob("*.npz" if name == "npz" else name):
        path.write_bytes(b"\x00\x1b[31m\xff")
    told: list[str] = []
    journal = Journal.open(tmp_path / "run", HEADER, resume=True, tell=told.append)
    found = [journal.find(key) for key in KEYS]
    assert [sentence.partition("' is")[2] for sentence in told] == [" damaged; that part is done again."]
    assert sum(got is not None for got in found) == (BATCHES if name == "run.json" else 0)


def test_work_of_another_run_is_never_found_even_without_its_header(work, tmp_path):
    shutil.copytree(work, tmp_path / "run")
    (tmp_path / "run" / "run.json").unlink()
    journal = Journal.open(tmp_path / "run", {**HEADER, "seed": 1}, resume=True)
    assert [journal.find(key) for key in KEYS] == [None] * BATCHES


@pytest.mark.parametrize("name", ["run.json", "journal.jsonl"])
def test_a_folder_in_place_of_a_file_gets_a_sentence(work, tmp_path, name):
    shutil.copytree(work, tmp_path / "run")
    (tmp_path / "run" / name).unlink()
    (tmp_path / "run" / name).mkdir()
    with pytest.raises(BenchError, match=r"cannot read the journal in '.*run' \(Is a directory\)"):
        Journal.open(tmp_path / "run", HEADER, resume=True)
    assert len(Journal.open(tmp_path / "run", HEADER, resume=False)) == 0

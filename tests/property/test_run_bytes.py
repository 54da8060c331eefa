"""Whatever happens to the bytes of a finished run, every command that reads it ends with a number or a sentence."""

import json
import shutil
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.cli.main import run
from bench.errors import BenchError
from bench.evaluation.conduct.adding import adding_to
from bench.evaluation.conduct.parents import Parent, read_parent
from bench.evaluation.conduct.run import evaluate
from bench.evaluation.plan.plan import Request, plan
from bench.models.source import ModelRef
from bench.protocol.load import load
from bench.submission.arrays import pack_arrays, read_arrays
from bench.submission.files import read_result
from bench.threats import Norm

MODEL, RULES = ModelRef.parse("embedded:digits-tiny-linf"), load("digits-smoke-v1")
ARRAYS = ["points.npz", "witnesses.npz"]
CHILD = plan(Request(MODEL, RULES, recipe="magnitude-global", sparsity=Fraction(1, 2), limit=6))
quickly = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    return evaluate(plan(Request(MODEL, RULES, limit=6, out=tmp_path_factory.mktemp("runs") / "run")))


def copied(finished: Path, tmp_path: Path) -> Path:
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
    return shutil.copytree(finished, tmp_path / "run", ignore=shutil.ignore_patterns("journal"))


def parent(folder: Path, finished: Path) -> Parent | None:
    try:
        return read_parent(folder, CHILD, read_result(finished / "result.json").model.weights_sha256)
    except BenchError:
        return None


def everyone_reads(folder: Path, finished: Path) -> None:
    assert run(["inspect", str(folder)]) in {0, 3}
    assert run(["compare", str(finished), str(folder)]) in {0, 2, 3}
    assert run(["submission", "check", str(folder)]) == 3
    with suppress(BenchError):
        adding_to(replace(plan(Request(MODEL, RULES, limit=7)), out=folder))


def same(found: Parent, finished: Path) -> bool:
    wanted = read_arrays(finished / "witnesses.npz")
    return all(
        np.array_equal(np.concatenate([part[place] for part in found.witnesses(norm)]), wanted[f"{name}_{norm}"])
        for norm in Norm
        for place, name in enumerate(("id", "image"))
    )


@quickly
@given(
    name=st.sampled_from(["result.json", *ARRAYS]),
    place=st.floats(0, 1),
    cut=st.integers(0, 40),
    put=st.binary(max_size=40),
)
def test_bytes_in_any_place(finished, tmp_path, name, place, cut, put):
    folder = copied(finished, tmp_path)
    before = (folder / name).read_bytes()
    start = int(place * len(before))
    (folder / name).write_bytes(before[:start] + put + before[start + cut :])
    everyone_reads(folder, finished)
    found = parent(folder, finished)
    assert found is None or same(found, finished)


leaf = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**30), 10**30), st.sampled_from([0, 1, -1, 2**63]), st.floats(),
    st.text(max_size=20), st.lists(st.integers(), max_size=2), st.just({}),
)  # fmt: skip


def places(value: object, path: tuple = ()) -> list[tuple]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [place for key, part in inside for place in places(part, (*path, key))]


@quickly
@given(data=st.data())
def test_any_value_of_a_result(finished, tmp_path, data):
    folder = copied(finished, tmp_path)
    result = json.loads((folder / "result.json").read_bytes())
    *way, last = data.draw(st.sampled_from(places(result)))
    holder = result
    for step in way:
        holder = holder[step]
    holder[last] = data.draw(leaf)
    (folder / "result.json").write_text(json.dumps(result))
    everyone_reads(folder, finished)
    parent(folder, finished)


@quickly
@given(data=st.data())
def test_any_array_of_a_run(finished, tmp_path, data):
    folder, name = copied(finished, tmp_path), data.draw(st.sampled_from(ARRAYS))
    arrays = read_arrays(folder / name)
    key = data.draw(st.sampled_from(sorted(arrays)))
    change = data.draw(st.sampled_from(["gone", "short", "doubled", "flat", "other", "nan", "huge", "less"]))
    array = arrays.pop(key)
    changed = {
        "short": array[:-1],
        "doubled": np.concatenate([array, array]),
        "flat": array.reshape(-1),
        "other": array.astype(np.float64),
        "nan": np.full_like(array, np.nan if array.dtype == np.float32 else 0),
        "huge": np.full_like(array, 2**62),
        "less": array.astype(np.int8) - 1,
    }
    if change != "gone":
        arrays[key] = changed[change]
    (folder / name).write_bytes(pack_arrays(arrays))
    everyone_reads(folder, finished)
    found = parent(folder, finished)
    assert found is None or same(found, finished)


def test_the_undamaged_run_is_a_parent(finished, tmp_path):
    found = parent(copied(finished, tmp_path), finished)
    assert found is not None
    assert same(found, finished)
    assert sum(len(ids) for ids, _ in found.witnesses(Norm.L0)) > 0

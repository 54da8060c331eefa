"""Two runs are compared on the points that both have, and whatever else differs is named."""

import json
from fractions import Fraction

import numpy as np
import pytest

from bench.cli.main import run
from bench.errors import InputError
from bench.submission.arrays import pack_arrays, read_arrays
from bench.submission.compare import differences, outcomes, read_run
from bench.submission.files import canonical
from tests.support.builders import write


@pytest.fixture
def pair(tmp_path):
    """Return a pruned network and its dense parent."""
    dense = write(tmp_path, id="small-dense", strength=1.2)
    half = write(tmp_path, id="small-half", recipe="magnitude-global", sparsity=Fraction(1, 2), strength=0.8)
    return half, dense


def change(folder, **changes):
    path = folder / "result.json"
    result = json.loads(path.read_text("utf-8"))
    for key, value in changes.items():
        result[key] = value(result[key]) if callable(value) else value
    path.write_bytes(canonical(result))


def survivors(folder, norm):
    arrays = np.load(folder / "points.npz")
    radius = {"Linf": 0.1 * (1 + 1e-5), "L2": 0.5 * (1 + 1e-5), "L0": 2}[norm]
    return (arrays["prediction"] == arrays["label"]) & (arrays[f"distance_{norm}"] > radius)


def alone(folder, norm):
    arrays = np.load(folder / "points.npz")
    standing = arrays["prediction"] == arrays["label"]
    for name in arrays.files:
        if name.startswith(f"broken_{norm}_"):
            standing &= ~arrays[name]
    return standing


def test_each_threat_model_is_a_paired_test_over_the_points(pair):
    half, dense = pair
    found = {outcome.what: outcome for outcome in outcomes(read_run(half), read_run(dense))}
    assert list(found) == ["clean", "Linf 1/10", "L2 1/2", "L0 2"]
    for what, outcome in found.items():
        if what == "clean":
            continue
        left, right = survivors(half, what.split()[0]), survivors(dense, what.split()[0])
        counts = (outcome.pair.both, outcome.pair.first, outcome.pair.second, outcome.pair.neither)
        assert counts == (
            (left & right).sum(), (left & ~right).sum(), (~left & right).sum(), (~left & ~right).sum(),
        )  # fmt: skip
        assert outcome.retention == Fraction(int(left.sum()), int(right.sum()))
        assert outcome.pair.verdict == "worse"
    swapped = {outcome.what: outcome for outcome in outcomes(read_run(dense), read_run(half))}
    assert swapped["Linf 1/10"].retention == found["Linf 1/10"].retention
    assert swapped["Linf 1/10"].pair.verdict == "better"


def test_strangers_to_each_other_have_no_retention(tmp_path):
    one, other = write(tmp_path, id="one"), write(tmp_path, id="other", lottery=3)
    assert {outcome.retention for outcome in outcomes(read_run(one), read_run(other))} == {None}


def test_points_are_matched_by_id_whatever_their_order(pair):
    half, dense = pair
    arrays = read_arrays(dense / "points.npz")
    before = outcomes(read_run(half), read_run(dense))
    (dense / "points.npz").write_bytes(pack_arrays({name: values[::-1] for name, values in arrays.items()}))
    assert outcomes(read_run(half), read_run(dense)) == before


def test_only_shared_points_and_threat_models_are_compared(pair):
    half, dense = pair
    arrays = read_arrays(dense / "points.npz")
    some = {name: values[:100] for name, values in arrays.items()}
    (dense / "points.npz").write_bytes(pack_arrays(some))
    counts = {
        norm: {"best_known": int(survivors(dense, norm).sum()), "robust": int(alone(dense, norm).sum())}
        for norm in ("L2", "L0")
    }
    correct = int((some["prediction"] == some["label"]).sum())
    change(
        dense,
        data=lambda data: data | {"points": 100},
        clean={"correct": correct},
        threats=lambda threats: [threat | counts[threat["norm"]] for threat in threats[1:]],
    )
    found = outcomes(read_run(half), read_run(dense))
    assert [outcome.what for outcome in found] == ["clean", "L2 1/2", "L0 2"]
    assert {outcome.pair.total for outcome in found} == {100}


def test_what_differs_is_named_and_what_does_not_is_not(pair):
    half, dense = pair
    change(half, seed=7, cost=lambda cost: cost | {"machine": cost["machine"] | {"accelerator": "H100"}})
    unlike = {difference.what: difference[1:] for difference in differences(read_run(half), read_run(dense))}
    assert unlike["seed"] == ("7", "0")
    assert unlike["pruned by"] == ("magnitude-global", "dense")
    assert unlike["sparsity"] == ("50.00 %", "0.00 %")
    assert unlike["accelerator"] == ("H100", "none")
    assert not {"protocol", "network", "engine", "torch"} & set(unlike)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda arrays: {"id": arrays["id"] + 10_000}, "no point in common"),
        (lambda arrays: {name: (arrays[name] + 1) % 10 for name in ("label", "prediction")}, "two labels"),
        (lambda arrays: {"prediction": arrays["label"]}, "are not of one run"),
        (lambda arrays: {"broken_L2_apgd-ce": ~arrays["broken_L2_apgd-ce"]}, "are not of one run"),
    ],
)  # fmt: skip
def test_what_is_not_the_same_is_not_compared(pair, spoil, says):
    half, dense = pair
    arrays = read_arrays(dense / "points.npz")
    (dense / "points.npz").write_bytes(pack_arrays(arrays | spoil(arrays)))
    with pytest.raises(InputError, match=says):
        outcomes(read_run(half), read_run(dense))


def test_other_data_and_other_threat_models_are_refused(pair):
    half, dense = pair
    change(half, threats=lambda threats: threats[:1])
    change(dense, threats=lambda threats: threats[1:])
    with pytest.raises(InputError, match="share no threat model"):
        outcomes(read_run(half), read_run(dense))
    change(dense, data=lambda data: data | {"name": "mnist"})
    with pytest.raises(InputError, match="digits test, small-dense on mnist test"):
        outcomes(read_run(half), read_run(dense))


def test_the_command_prints_a_table_and_a_document(pair, capsys, tmp_path):
    half, dense = map(str, pair)
    assert run(["compare", half, dense]) == 0
    told = capsys.readouterr().out
    assert "500 points that both have" in told
    assert "What differs" in told
    assert run(["compare", half, dense, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "bench.compare/1"
    assert document["outcomes"][1]["verdict"] == "worse"
    assert run(["compare", half, str(tmp_path / "gone")]) == 3
    assert "result.json is missing" in capsys.readouterr().err

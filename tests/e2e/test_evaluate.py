"""The main job from the command line to the files, on real digits."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.models.weights import save
from bench.submission.arrays import read_arrays
from bench.submission.files import read_result
from bench.threats import Norm
from tests.support.material import network as real_network

MODEL = ["--model", "embedded:digits-tiny-linf", "--protocol", "digits-smoke-v1"]


def bench(*words: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *words]
    settings = {**os.environ, "OMP_NUM_THREADS": "1", **env}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=300, env=settings)


@pytest.fixture(scope="module")
def cells(tmp_path_factory) -> Path:
    """Return a folder with a dense run and a pruned one beside it."""
    folder = tmp_path_factory.mktemp("cells")
    dense = bench("evaluate", *MODEL, "--out", "runs/digits-tiny-linf--dense", cwd=folder)
    assert dense.returncode == 0, dense.stderr
    pruned = bench(
        "evaluate",
        *MODEL,
        "--recipe",
        "magnitude-global",
        "--sparsity",
        "0.5",
        "--out",
        "runs/half",
        "--json",
        cwd=folder,
    )
    assert pruned.returncode == 0, pruned.stderr
    assert json.loads(pruned.stdout)["schema"] == "bench.result/2"
    return folder / "runs"


def test_counts_add_up_in_every_threat(cells):
    result = read_result(cells / "half" / "result.json")
    assert [threat.norm for threat in result.threats] == list(Norm)
    for threat in result.threats:
        assert result.clean.correct == threat.robust + sum(attack.broken for attack in threat.attacks)


def test_half_of_the_weights_are_exactly_zero(cells):
    pruning = read_result(cells / "half" / "result.json").pruning
    assert abs(2 * pruning.zeros - pruning.prunable) <= 1
    assert pruning.zeros == sum(layer.zeros for layer in pruning.layers)


def test_every_broken_point_has_a_witness_that_is_where_it_says(cells):
    arrays, witnesses = read_arrays(cells / "half" / "points.npz"), read_arrays(cells / "half" / "witnesses.npz")
    for norm in Norm:
        ids, distance = arrays["id"], arrays[f"distance_{norm}"]
        found = np.isfinite(distance) & (distance > 0)
        assert witnesses[f"id_{norm}"].tolist() == ids[found].tolist()
        change = witnesses[f"image_{norm}"].astype(np.float64) - witnesses[f"clean_{norm}"]
        flat = change.reshape(len(change), -1)
        size = {
            Norm.LINF: np.abs(flat).max(1, initial=0),
            Norm.L2: np.sqrt((flat**2).sum(1)),
            Norm.L0: (change != 0).any(1).reshape(len(change), -1).sum(1),
        }[norm]
        np.testing.assert_allclose(size, distance[found], rtol=1e-6)


def test_curves_fall_and_pass_through_the_robust_count(cells):
    result = read_result(cells / "half" / "result.json")
    for threat in result.threats:
        curve = result.curves[threat.norm]
        assert list(curve.robust) == sorted(curve.robust, reverse=True)
        assert curve.robust[0] == result.clean.correct
        assert curve.robust[curve.epsilon.index(threat.epsilon)] == threat.best_known <= threat.robust


def test_weaker_adversaries_break_no_more_than_the_one_who_knows_everything(cells):
    result = read_result(cells / "half" / "result.json")
    assert set(result.scenarios) == {"transfer", "black-box"}
    for scenario in result.scenarios.values():
        for threat in result.threats:
            assert scenario.robust[threat.norm] >= threat.best_known


def test_a_pruned_run_without_its_parent_says_what_is_missing(tmp_path):
    done = bench(
        "evaluate", *MODEL, "--recipe", "magnitude-global", "--sparsity", "0.5", "--no-parent-run", "--out", "alone",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = read_result(tmp_path / "alone" / "result.json")
    assert not result.standard
    assert any("evaluate the dense model first" in reason for reason in result.deviations)
    assert "transfer" not in result.scenarios
    assert [path.name for path in tmp_path.iterdir()] == ["alone"]


@pytest.mark.parametrize(("size", "points"), [("1", 6), pytest.param("7", 20, marks=pytest.mark.soak)])
def test_verdicts_do_not_depend_on_the_batch_size(cells, tmp_path, size, points):
    done = bench("evaluate", *MODEL, "--batch-size", size, "--limit", str(points), "--out", "small", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    few, many = (
        read_arrays(tmp_path / "small" / "points.npz"),
        read_arrays(cells / "digits-tiny-linf--dense" / "points.npz"),
    )
    for name, values in few.items():
        if name.startswith("broken"):
            assert values.tolist() == many[name][:points].tolist(), name


def test_the_reference_engine_measures_the_same_points(cells, tmp_path):
    done = bench("evaluate", *MODEL, "--engine", "reference", "--threat", "Linf", "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    theirs = read_result(tmp_path / "run" / "result.json")
    ours = read_result(cells / "digits-tiny-linf--dense" / "result.json")
    assert theirs.clean == ours.clean
    assert theirs.engine == "reference"
    assert theirs.batch_size is not None
    assert abs(theirs.threats[0].robust - ours.threats[0].robust) <= 1


@pytest.mark.timing
@pytest.mark.material
def test_a_dry_run_of_resnet18_takes_ten_seconds_of_a_processor_at_most(material, tmp_path):
    """Its own seconds count, start of Python and torch included, so that other work on the machine does not."""
    save(tmp_path / "resnet18.safetensors", real_network(material, "resnet18").state_dict())
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = bench(
        "evaluate", "--model", "resnet18.safetensors", "--arch", "resnet18", "--protocol", "cifar10-v1", "--dry-run",
        "--json", cwd=tmp_path, BENCH_DATA_DIR=str(material),
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = json.loads(done.stdout)
    assert (done.returncode, told["obstacles"], told["absent"]) == (0, [], [])
    assert told["seconds_per_image"]["forward"] > 0
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 10


@pytest.mark.material
def test_the_real_cifar10_network_is_read_right(material, tmp_path):
    done = bench(
        "evaluate", "--model", str(material / "weights" / "cifar10_cnn_a_adv.safetensors"), "--arch", "cnn-a",
        "--mean", "125.3/255,123.0/255,113.9/255", "--std", "63.0/255,62.1/255,66.7/255",
        "--protocol", "cifar10-v1", "--dry-run", "--json", cwd=tmp_path, BENCH_DATA_DIR=str(material),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["points"] == 1000

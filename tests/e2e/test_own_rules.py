"""Rules and images of one's own, from the command line to the files."""

import json

import numpy as np
import pytest

from bench.cli.main import run
from bench.data.dataset import DATASETS
from bench.submission.arrays import read_arrays
from bench.submission.files import read_result

POINTS = 12
RULES = f"""\
name = "mine"
extends = "digits-smoke-v1"

[data]
dataset = "npz"
points = {POINTS}

[data.settings]
path = "test.npz"
train = "train.npz"
count = 10
scale = 16

[calibration]
points = 64
"""
MODEL = ["--model", "embedded:digits-tiny-linf"]


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Return rules over the first digits as arrays of one's own."""
    folder = tmp_path_factory.mktemp("own")
    for split, count in (("test", POINTS), ("train", 64)):
        digits = DATASETS["digits"].load(split, range(count))
        np.savez(folder / f"{split}.npz", images=digits.pixels, labels=digits.labels)
    (folder / "mine.toml").write_text(RULES, "utf-8")
    return folder


@pytest.fixture(scope="module")
def dense(own):
    assert run(["evaluate", *MODEL, "--protocol", str(own / "mine.toml"), "--out", str(own / "dense")]) == 0
    return own / "dense"


def test_the_same_images_give_the_same_verdicts_wherever_they_come_from(own, dense):
    shipped = ["--protocol", "digits-smoke-v1", "--limit", str(POINTS)]
    assert run(["evaluate", *MODEL, *shipped, "--out", str(own / "shipped")]) == 0
    ours, theirs = (read_arrays(folder / "points.npz") for folder in (dense, own / "shipped"))
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array, err_msg=name)


def test_such_a_run_is_never_a_standard_one_and_cannot_be_submitted(own, dense, capsys, monkeypatch, tmp_path):
    result = read_result(dense / "result.json")
    assert result.standard is False
    assert result.deviations[0] == "rules of one's own, from mine.toml, which changes digits-smoke-v1"
    assert (result.protocol.name, result.data.name) == ("mine", "npz")
    monkeypatch.chdir(tmp_path)
    assert run(["submission", "new", str(dense), "--author", "A. Author", "--licence", "MIT"]) == 3
    assert "is not a standard run (rules of one's own" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_recipes_calibrate_on_images_of_ones_own_and_the_parent_is_found(own, dense):
    words = ["--recipe", "wanda", "--sparsity", "0.5", "--parent", str(dense), "--out", str(own / "half")]
    assert run(["evaluate", *MODEL, "--protocol", str(own / "mine.toml"), *words]) == 0
    result = read_result(own / "half" / "result.json")
    assert 2 * result.pruning.zeros == result.pruning.prunable
    assert "transfer" in result.scenarios


def test_a_run_by_rules_of_ones_own_is_read_back(dense, capsys):
    assert run(["inspect", str(dense)]) == 0
    assert "not a standard run: rules of one's own, from mine.toml" in capsys.readouterr().err


def test_a_protocol_by_path_is_shown_and_checked(own, capsys):
    assert run(["protocol", "show", str(own / "mine.toml"), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["data"]["settings"]["path"] == "test.npz"
    assert not {"origin", "frozen"} & set(shown)
    assert run(["protocol", "check", str(own / "mine.toml")]) == 0
    digest = DATASETS["digits"].load("test", range(POINTS)).digest
    assert f'digest = "{digest}"' in capsys.readouterr().out


def test_a_start_is_written_once_and_names_what_to_do(tmp_path, capsys):
    file = tmp_path / "new.toml"
    assert run(["protocol", "new", str(file), "--dataset", "npz", "--extends", "digits-v1"]) == 0
    assert f"bench protocol check {file}" in capsys.readouterr().err
    assert run(["protocol", "new", str(file)]) == 2
    assert run(["protocol", "new", str(tmp_path / "new.txt")]) == 2
    assert run(["protocol", "check", str(file)]) == 3
    says = capsys.readouterr().err
    assert "new.toml, line" in says
    assert "data.settings.path: " in says
    assert says.count("\n") == 3


def test_more_points_than_there_are_is_said_before_anything_runs(own, tmp_path, capsys):
    text = RULES.replace(f"points = {POINTS}", "points = 500").replace('"t', f'"{own}/t')
    (tmp_path / "many.toml").write_text(text, "utf-8")
    assert run(["evaluate", *MODEL, "--protocol", str(tmp_path / "many.toml"), "--out", str(tmp_path / "out")]) == 2
    assert f"has no image {POINTS}; it has {POINTS}" in capsys.readouterr().err

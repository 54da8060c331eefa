"""The documents that teach do what they say: each command as written, in its order, on one machine."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.cli.main import run
from bench.data.dataset import DATASETS
from bench.submission.files import read_result

ROOT = Path(__file__).resolve().parents[2]


def text(name):
    return (ROOT / "bench" / "site" / "docs" / f"{name}.md").read_text("utf-8")


def blocks(name, kind):
    return re.findall(rf"```{kind}\n(.*?)```", text(name), re.DOTALL)


def commands(name):
    """Return the commands of a document without the name of the program."""
    lines = [shlex.split(line) for block in blocks(name, "console") for line in block.splitlines()]
    assert all(line[0] == "bench" for line in lines)
    return [line[1:] for line in lines]


@pytest.fixture
def at_work(tmp_path, monkeypatch):
    """Work in an empty folder, with code that counts as committed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bench.evaluation.environment.code_is_dirty", lambda: False)
    return tmp_path


def test_the_tutorial_ends_in_a_checked_entry_on_a_board(at_work, capsys):
    told = {}
    for words in commands("tutorial"):
        assert run(words) == 0, words
        told[" ".join(words[:2])] = "".join(capsys.readouterr())
    assert len(told) >= 7
    assert "1 checked, 1 without a problem" in told["submission check"]
    assert "disagrees" not in told["review submissions/digits-smoke-v1/my-first-entry"]
    thin, dense = (read_result(at_work / "runs" / name / "result.json") for name in ("thin", "dense"))
    assert (thin.standard, dense.standard) == (True, True)
    assert "transfer" in thin.scenarios
    assert 2 * thin.pruning.zeros == thin.pruning.prunable
    (entry,) = json.loads((at_work / "leaderboard/data/entries.json").read_text("utf-8"))["entries"]
    assert (entry["id"], entry["level"], entry["rank"]["Linf"]) == ("my-first-entry", "self-reported", None)
    assert (at_work / "leaderboard" / "docs" / "commands.html").exists()


def test_rules_of_ones_own_are_checked_and_used_as_the_page_says(at_work, capsys):
    (rules,) = blocks("tracks", "toml")
    (at_work / "digits.toml").write_text(rules, "utf-8")
    for split, count in (("test", 20), ("train", 64)):
        digits = DATASETS["digits"].load(split, range(count))
        np.savez(at_work / f"{split}.npz", images=digits.pixels, labels=digits.labels)
    for words in commands("tracks"):
        assert run(words) == 0, words
    assert "digest = " in capsys.readouterr().out
    (file,) = [path for path in at_work.rglob("result.json") if "magnitude" in path.parent.name]
    result = read_result(file)
    assert (result.data.name, result.data.points, result.threats[0].epsilon) == ("npz", 20, "1/20")
    assert [attack.name for attack in result.threats[0].attacks][:2] == ["apgd-ce", "square"]


def test_a_package_of_the_pages_pieces_brings_a_network_a_recipe_and_an_attack(tmp_path):
    source = tmp_path / "source"
    (source / "mypackage").mkdir(parents=True)
    (source / "mypackage" / "__init__.py").touch()
    for piece in blocks("extend", "(?:python|toml)"):
        name = piece.partition("\n")[0].removeprefix("# ")
        (source / name).write_text(piece, "utf-8")
    (source / "mine.toml").rename(tmp_path / "mine.toml")
    install = [
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--target",
        str(tmp_path / "site"),
    ]
    subprocess.run([sys.executable, "-m", "pip", *install, str(source)], check=True, timeout=120)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), str(ROOT)])}
    out = ""
    for words in commands("extend"):
        done = subprocess.run(
            [sys.executable, "-m", "bench", *words],
            cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        out += done.stdout
    assert "one hidden layer of 32" in out
    assert "your paper" in out
    result = read_result(tmp_path / "runs" / "mine" / "result.json")
    assert [attack.name for attack in result.threats[0].attacks][:2] == ["mine", "apgd-ce"]
    assert result.threats[0].attacks[0].rejected == 0
    assert 2 * result.pruning.zeros == result.pruning.prunable

"""A package of somebody else's, really installed, works without a change here; so does code that is not packaged."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from bench.submission.files import read_result

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "tests" / "support" / "plugin"
RULES = """
extends = "digits-smoke-v1"
name = "stripes"

[data]
dataset = "plugged-stripes"
points = 4

[[threats]]
norm = "Linf"
epsilon = "1/1"
attacks = ["plugged-white"]

[attacks.plugged-white]
"""


def network(classes=10):
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(1)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, classes))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Install the package into a folder of its own and return a folder to work in."""
    folder = tmp_path_factory.mktemp("plugins")
    source = folder / "source"
    subprocess.run(["cp", "-r", str(PLUGIN), str(source)], check=True)
    command = [
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--target",
        str(folder / "site"),
    ]
    subprocess.run([sys.executable, "-m", "pip", *command, str(source)], check=True, timeout=120)
    for classes in (10, 2):
        save_file(network(classes).state_dict(), folder / f"wide{classes}.safetensors")
    (folder / "stripes.toml").write_text(RULES)
    (folder / "mine.py").write_text(
        "from torch import nn\n\ndef wide():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 10))\n"
    )
    return folder


def bench(place, *words, code=0):
    paths = os.pathsep.join([str(place / "site"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "bench", *map(str, words)],
        cwd=place, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("architectures", "plugged-wide"),
        ("recipes", "plugged-first"),
        ("attacks", "plugged-white"),
        ("datasets", "plugged-stripes"),
    ],
)
def test_every_kind_of_component_is_listed(place, kind, name):
    assert name in bench(place, "list", kind).stdout


def test_a_plugged_architecture_is_evaluated_pruned_and_checked(place):
    model = ["--model", place / "wide10.safetensors", "--arch", "plugged-wide"]
    rules = ["--protocol", "digits-smoke-v1"]
    bench(place, "evaluate", *model, *rules, "--points", "0:3", "--threat", "Linf", "--recipe", "plugged-first",
          "--sparsity", "1/2", "--out", place / "run")  # fmt: skip
    result = read_result(place / "run" / "result.json")
    assert result.model.architecture == "plugged-wide"
    assert result.pruning.zeros == result.pruning.prunable // 2
    of = "is of the plug-in prunebench-plugin 1.2.3"
    assert {f"the recipe plugged-first {of}", f"the architecture plugged-wide {of}"} <= set(result.deviations)
    bench(place, "prune", *model, *rules, "--recipe", "plugged-first", "--sparsity", "1/4", "--out", place / "pruned")
    doubted = json.loads(bench(place, "check", *model, *rules, "--json", code=1).stdout)  # its weights are random
    assert (doubted["schema"], doubted["withheld"]) == ("bench.checks/1", True)


def test_a_plugged_data_set_is_attacked_by_a_plugged_attack(place):
    bench(place, "evaluate", "--model", place / "wide2.safetensors", "--arch", "plugged-wide?num_classes=2",
          "--protocol", "stripes.toml", "--threat", "Linf", "--out", place / "stripes")  # fmt: skip
    result = read_result(place / "stripes" / "result.json")
    assert result.data.name == "plugged-stripes"
    assert result.threats[0].attacks[0].name == "plugged-white"
    assert not result.standard


def test_code_of_ones_own_is_measured_and_said_to_be_ones_own(place):
    name = f"python:mine:wide?in_chans=1&img_size=8&weights={place / 'wide10.safetensors'}"
    bench(place, "evaluate", "--model", name, "--protocol", "digits-smoke-v1", "--points", "0:3", "--threat", "Linf",
          "--out", place / "own")  # fmt: skip
    own = read_result(place / "own" / "result.json")
    assert any("code of one's own" in reason for reason in own.deviations)
    bench(place, "evaluate", "--model", place / "wide10.safetensors", "--arch", "plugged-wide", "--protocol",
          "digits-smoke-v1", "--points", "0:3", "--threat", "Linf", "--out", place / "file")  # fmt: skip
    file = read_result(place / "file" / "result.json")
    assert own.clean == file.clean
    assert own.threats == file.threats


@pytest.mark.parametrize(
    "model",
    [
        ["--model", "python:mine:wide?weights=weights/w.safetensors&in_chans=1&img_size=8"],
        ["--model", "weights/w.safetensors", "--arch", "plugged-wide"],
        ["--model", "embedded:digits-tiny-linf"],
    ],
    ids=["code", "file", "embedded"],
)
def test_the_command_that_pruning_prints_runs_as_it_stands(place, tmp_path, model):
    (place / "weights").mkdir(exist_ok=True)
    save_file(network().state_dict(), place / "weights" / "w.safetensors")
    (place / "short.toml").write_text('name = "short"\nextends = "digits-smoke-v1"\n')
    thin = tmp_path / "thin"
    done = bench(
        place, "prune", *model, "--protocol", "short.toml", "--recipe", "magnitude-global", "--sparsity", "1/2",
        "--out", thin,
    )  # fmt: skip
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("To attack it: bench ")]
    words = shlex.split(line.removeprefix("To attack it: bench "))
    bench(place, *words, "--points", "0:3", "--threat", "Linf", "--dry-run")
    bench(place, *words, "--points", "0:3", "--threat", "Linf", "--no-parent-run", "--out", tmp_path / "run")
    result = read_result(tmp_path / "run" / "result.json")
    assert result.pruning.how == "magnitude-global version 1 (bench prune)"
    assert result.pruning.zeros == result.pruning.prunable // 2


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("python:mine", "should be python:MODULE:FACTORY"),
        ("python:mine:narrow", "AttributeError"),
        ("python:nowhere:wide", "ModuleNotFoundError"),
        ("python:mine:wide", "say what images it takes"),
        ("python:mine:nn?img_size=8", "failed with TypeError|torch.nn.Module"),
        ("python:mine:wide?size=8", "should be one of"),
        ("memory:Net@0123", "gone with it"),
    ],
)
def test_what_cannot_be_made_is_told_in_a_sentence(place, name, says):
    import re

    done = bench(place, "evaluate", "--model", name, "--protocol", "digits-smoke-v1", "--points", "0:3", code=2)
    assert re.search(says, done.stderr)
    assert "Traceback" not in done.stderr


def test_a_plug_in_that_fails_is_named(place):
    broken = place / "broken"
    broken.mkdir()
    (broken / "prunebench_broken.py").write_text("raise RuntimeError('no licence')\n")
    info = broken / "prunebench_broken-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: prunebench-broken\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[prunebench.recipes]\nbroken = prunebench_broken\n")
    paths = os.pathsep.join([str(broken), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "bench", "list", "recipes"],
        env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    assert (
        "the plug-in prunebench-broken 0.1 (prunebench_broken) cannot be loaded: RuntimeError: no licence"
        in done.stderr
    )

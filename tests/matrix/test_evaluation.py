"""The main job on every CIFAR-10 architecture of RobustBench's zoo, at its full size, as a user types it.

Weights are random and placed where a download would be. Budgets are hardly a step, for one forward pass of the largest
takes seconds; nothing else is left out, and the rules are those of the README's example.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.cli.main import run
from bench.models.weights import save
from bench.models.zoo import robustbench
from bench.submission.files import read_result
from bench.threats import Norm
from tests.matrix.test_robustbench import NAMES
from tests.support import zoo

CIFAR10 = [name for name in NAMES if name.startswith("cifar10/")]
SHOWN = "robustbench:cifar10/Linf/Carmon2019Unlabeled"
POINTS = 4
RULES = """\
name = "hardly-a-step"
extends = "cifar10-v1"

[attacks]
apgd-ce = { steps = 2 }
apgd-t = { steps = 2, targets = 1 }
fab-t = { steps = 2, targets = 1 }
square = { queries = 3 }
fmn = { steps = 2 }
corner-search = { pixels = 2, first = 4, others = 4, beams = 1, branch = 2 }
corner-beam = { pixels = 2, first = 4, beams = 1, branch = 2 }
sigma-zero = { steps = 2, grid = [5, 20] }
sparse-pgd-u = { iterations = 2, grid = [5, 20] }
sparse-rs-ce = { queries = 3, grid = [5, 20] }
"""


@pytest.fixture
def points(material, monkeypatch):
    """Return the first images with their labels; the commands find the same."""
    monkeypatch.setenv("BENCH_DATA_DIR", str(material))
    with np.load(material / "cifar10" / "test-0000-0999.npz") as data:
        images = torch.from_numpy(data["images"][:POINTS]).permute(0, 3, 1, 2).float().div(255).contiguous()
        return images, data["labels"][:POINTS].tolist()


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "hardly-a-step.toml"
    path.write_text(RULES, "utf-8")
    return path


def place(name: str, folder: Path, points) -> int:
    """Place random weights that tell at least one point rightly; return how many they do."""
    images, labels = points
    network = zoo.randomise(robustbench.blank(name).build(), images, gain=0.2, threshold=1e-6)
    zoo.name_classes(network, images, labels)
    save(folder / "robustbench" / f"{name}.safetensors", network.state_dict())
    with torch.no_grad():
        return int((network(images).argmax(dim=1) == torch.tensor(labels)).sum())


def hold_result(folder: Path, name: str, correct: int) -> None:
    """Hold a result to what is known of it by hand."""
    result = read_result(folder / "result.json")
    assert result.model.ref == f"robustbench:{name}"
    assert [threat.norm for threat in result.threats] == list(Norm)
    assert result.data.points == POINTS
    assert result.clean.correct == correct > 0
    for threat in result.threats:
        assert correct == threat.robust + sum(attack.broken for attack in threat.attacks)
        assert all(attack.forwards > 0 for attack in threat.attacks if attack.attempted and attack.name != "pooled")
    assert result.threats[0].attacks[0].attempted == correct
    assert not result.standard
    assert not [flag for flag in result.flags if flag.check == "replay"], "the reference gives the same network again"


@pytest.mark.soak
def test_the_example_of_the_readme_runs_as_it_is_typed(root, placed, points, rules):
    lines = (root / "README.md").read_text("utf-8").splitlines()
    (shown,) = [line for line in lines if line.startswith("bench evaluate ") and SHOWN in line]
    program, *words = shlex.split(shown)
    assert program == "bench"
    name = SHOWN.partition(":")[2]
    correct = place(name, placed, points)
    env = {**os.environ, "BENCH_MODEL_DIR": str(placed), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}

    def typed(*given: str) -> str:
        command = [sys.executable, "-m", "bench", *given]
        ran = subprocess.run(command, cwd=placed, env=env, capture_output=True, text=True, check=False, timeout=600)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    assert "--dry-run" in words
    told = typed(*words)
    assert all(f"{norm} " in told for norm in Norm)
    words = [str(rules) if word == "cifar10-v1" else word for word in words if word != "--dry-run"]
    typed(*words, "--points", f"0:{POINTS}", "--out", "run")
    hold_result(placed / "run", name, correct)


@pytest.mark.soak
@pytest.mark.parametrize("name", CIFAR10)
def test_every_architecture_goes_from_a_placed_file_to_a_result_under_every_norm(name, placed, points, rules):
    correct = place(name, placed, points)
    words = ["--model", f"robustbench:{name}", "--protocol", str(rules), "--points", f"0:{POINTS}"]
    assert run(["evaluate", *words, "--out", str(placed / "run")]) == 0
    hold_result(placed / "run", name, correct)

"""A real network for 224 pixels and real photographs, from files to a result."""

import os
import subprocess
import sys

import pytest
import torch

from bench.evaluation.plan import own
from bench.evaluation.plan.source import source_of
from bench.models.source import ModelRef, load
from bench.protocol.own import find
from bench.submission.arrays import read_arrays
from bench.submission.files import read_result
from bench.threats import Norm
from tests.support.efficientnet import NAME, place

pytestmark = pytest.mark.material
WRONG = {"tree_frog", "barn_spider", "jellyfish", "Irish_wolfhound", "cloak", "modem", "sweatshirt"}
"""What this network takes for something else, by the names of the files."""
GIBIBYTE = 2**20
"""In the kilobytes that the system counts by."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    place(folder)
    return folder


@pytest.fixture(scope="module")
def rules(tmp_path_factory, material):
    """Return the start for photographs with its paths filled in."""
    start = own.start("photographs", "folder", "cifar10-v1")
    lines = [
        f'path = "{material / "imagenet"}"' if line.startswith("path")
        else f'labels = "{material / "imagenet" / "classes.csv"}"\ncount = 1000' if line.startswith("classes")
        else "points = 40" if line.startswith("points")
        else line
        for line in start.splitlines()
    ]  # fmt: skip
    path = tmp_path_factory.mktemp("rules") / "photographs.toml"
    path.write_text("\n".join(lines), "utf-8")
    return path


def evaluate(rules, weights, out, *words):
    """Run ``bench evaluate`` and return the most memory it held, in kilobytes."""
    command = [sys.executable, "-m", "bench", "evaluate", "--model", f"timm:{NAME}", "--protocol", str(rules)]
    env = {**os.environ, "BENCH_MODEL_DIR": str(weights), "OMP_NUM_THREADS": "1"}
    with (out.parent / "said").open("w+") as said:
        process = subprocess.Popen([*command, *words, "--out", str(out)], env=env, stdout=said, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        assert process.returncode == 0, said.read()
    return used.ru_maxrss


def test_thirty_three_of_forty_photographs_are_classified_rightly(rules, weights, monkeypatch, material):
    monkeypatch.setenv("BENCH_MODEL_DIR", str(weights))
    points = source_of(find(str(rules))).load("test", range(40))
    files = [line.split(",")[0] for line in (material / "imagenet" / "classes.csv").read_text().splitlines()[1:]]
    network = load(ModelRef.parse(f"timm:{NAME}")).classifier
    with torch.no_grad():
        told = torch.cat([network(part).argmax(dim=1) for part in points.images().split(8)])
    wrong = (told != points.label_tensor()).nonzero().flatten().tolist()
    assert {files[row].partition("_")[2].removesuffix(".JPEG") for row in wrong} == WRONG


def test_two_photographs_go_through_under_every_norm_within_four_gibibytes(rules, weights, tmp_path):
    held = evaluate(rules, weights, tmp_path / "run", "--preset", "smoke", "--points", "2:4")
    assert held < 4 * GIBIBYTE
    result = read_result(tmp_path / "run" / "result.json")
    assert [threat.norm for threat in result.threats] == list(Norm)
    assert [threat.epsilon for threat in result.threats] == ["4/255", "1/2", "50"]
    assert not result.standard
    assert "rules of one's own, from photographs.toml, which changes cifar10-v1" in result.deviations
    assert result.data.name == "folder"
    assert len(result.data.classes) == 1000
    assert result.clean.correct == 1  # the chameleon, and not the spider
    assert result.threat(Norm.LINF).robust == 0, "natural networks fall at 4/255"
    witnesses = read_arrays(tmp_path / "run" / "witnesses.npz")
    assert witnesses["image_Linf"].shape == (1, 3, 224, 224)


@pytest.mark.soak
@pytest.mark.parametrize("words", [[], ["--recipe", "magnitude-global", "--sparsity", "0.3"]])
def test_development_budgets_are_affordable_on_a_processor(rules, weights, tmp_path, words):
    held = evaluate(rules, weights, tmp_path / "run", "--preset", "fast", "--points", "4:6", *words)
    assert held < 4 * GIBIBYTE
    result = read_result(tmp_path / "run" / "result.json")
    for threat in result.threats:
        assert result.clean.correct == threat.robust + sum(attack.broken for attack in threat.attacks)

"""A real network for 224 pixels and real photographs, from files to a result."""

import os
import subprocess
import sys
from fractions import Fraction

import pytest
import torch

from bench.evaluation.plan import own
from bench.evaluation.plan.ask import Said, ask
from bench.evaluation.plan.prepare import prepare
from bench.evaluation.plan.source import source_of
from bench.evaluation.search.meter import clean_logits
from bench.models.source import ModelRef, load
from bench.protocol.own import find
from bench.submission.arrays import read_arrays
from bench.submission.files import read_result
from bench.threats import Norm
from tests.support.efficientnet import NAME, place

pytestmark = pytest.mark.material
WRONG = {"tree_frog", "barn_spider", "jellyfish", "Irish_wolfhound", "cloak", "modem", "sweatshirt"}
"""What this network takes for something else, by the names of the files."""
CALIBRATION = 20
"""Photographs, the last, which batch norms are recalibrated on."""
GIBIBYTE = 2**20
"""In the kilobytes that the system counts by."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    place(folder)
    return folder


@pytest.fixture(scope="module")
def rules(tmp_path_factory, material):
    """Return the start for photographs with its paths filled in; the last twenty are there to calibrate on."""
    home, table = tmp_path_factory.mktemp("rules"), material / "imagenet" / "classes.csv"
    head, *files = table.read_text().splitlines()
    (home / "train.csv").write_text("\n".join([head, *files[-CALIBRATION:]]))
    start = own.start("photographs", "folder", "cifar10-v1")
    lines = [
        f'path = "{material / "imagenet"}"' if line.startswith("path")
        else f'labels = "{table}"\ncount = 1000' if line.startswith("classes")
        else f'train = "{material / "imagenet"}"\ntrain_labels = "{home / "train.csv"}"' if line.startswith("# train")
        else "points = 40" if line.startswith("points")
        else line
        for line in start.splitlines()
    ]  # fmt: skip
    path = home / "photographs.toml"
    path.write_text("\n".join([*lines, "[calibration]", 'split = "train"', "first = 0", f"points = {CALIBRATION}"]))
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


@pytest.mark.parametrize(
    ("share", "regime", "right"),
    [(None, "one-shot", 33), ("3/10", "one-shot", 32), ("1/2", "one-shot", 4), ("1/2", "bn", 16)],
)
def test_what_pruning_leaves_of_thirty_three(rules, weights, monkeypatch, share, regime, right):
    """Accuracy before and after; tests/benchmarks/photographs.py goes on from there through Linf."""
    monkeypatch.setenv("BENCH_MODEL_DIR", str(weights))
    said = Said() if share is None else Said("magnitude-global", Fraction(share), regime)
    cell = prepare(ask(f"timm:{NAME}", str(rules), said=said))
    logits = clean_logits(cell.pruned.network, cell.points.images(), 5)
    assert int((logits.argmax(dim=1) == cell.points.label_tensor()).sum()) == right


@pytest.mark.soak
@pytest.mark.parametrize(("share", "regime"), [("3/10", "one-shot"), ("1/2", "one-shot"), ("1/2", "bn")])
def test_pruned_networks_go_through_linf(rules, weights, tmp_path, share, regime):
    words = ["--recipe", "magnitude-global", "--sparsity", share, "--regime", regime, "--threat", "Linf"]
    evaluate(rules, weights, tmp_path / "run", "--preset", "smoke", "--points", "4:8", "--no-parent-run", *words)
    result = read_result(tmp_path / "run" / "result.json")
    (threat,) = result.threats
    assert threat.robust == 0
    assert result.clean.correct == sum(attack.broken for attack in threat.attacks)
    assert result.pruning.zeros == pytest.approx(float(Fraction(share)) * result.pruning.prunable, abs=1)


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

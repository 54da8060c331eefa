"""Networks that a program holds, measured as the command line measures its own."""

import importlib
import shutil
import sys

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import bench
from bench.cli.main import run
from bench.data.dataset import DATASETS
from bench.errors import UsageError
from bench.evaluation.plan.plan import Origin, Request, plan
from bench.models.probe import answers
from bench.models.source import ModelRef, load
from bench.protocol.load import load as rules
from bench.threats import Norm


def test_a_parent_handed_over_is_told_of_and_the_network_is_not_asked_for_elsewhere(tmp_path):
    parent = load(ModelRef.parse("embedded:digits-tiny-linf")).classifier
    child = bench.prune(parent, "magnitude-global", 0.5, example=torch.rand(2, 1, 8, 8)).network
    result = bench.evaluate(
        child, parent=parent, method="mine", sparsity=0.5, protocol="digits-smoke-v1", points=4, threats=["Linf"],
        out=tmp_path / "run",
    )  # fmt: skip
    assert result.record.model.parent.startswith("memory:Normalised@")
    assert result.record.scenarios["transfer"].robust[Norm.LINF] >= result.record.threat(Norm.LINF).robust
    assert [reason for reason in result.record.deviations if "handed over in Python" in reason] == [
        "the network was handed over in Python, so nobody else can load it"
    ]
    assert not any(flag.check == "replay" for flag in result.flags)


def test_a_parent_that_nobody_else_can_load_makes_no_standard_run():
    handed = Origin(parent=ModelRef("memory", "Net@0123"))
    settled = plan(Request(ModelRef.parse("embedded:digits-tiny-linf"), rules("digits-smoke-v1"), origin=handed))
    assert settled.deviations == ("the network was handed over in Python, so nobody else can load it",)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"threats": []}, "at least one norm"),
        ({"threats": ["L1"]}, "No norm is called 'L1'"),
        ({"points": 0}, "at least one point"),
        ({"points": (5, 3)}, "name no point"),
        ({"preset": "quick"}, "No preset of digits-smoke-v1 is called 'quick'"),
        ({"recipe": "magnitude-global"}, "needs --sparsity"),
        ({"sparsity": 0.5}, "is to be pruned by which"),
        ({"network": "mine.safetensors"}, "what network they belong to"),
    ],
)
def test_what_does_not_fit_is_told_before_any_attack(words, says):
    given = {"network": "embedded:digits-tiny-linf", "protocol": "digits-smoke-v1"} | words
    with pytest.raises(UsageError, match=says):
        bench.evaluate(given.pop("network"), **given)


def test_a_network_that_the_command_line_can_name_is_loaded_as_a_module(tmp_path):
    network = bench.load("embedded:digits-tiny-linf")
    points = DATASETS["digits"].load("test", range(100))
    assert int((network(points.images()).argmax(dim=1) == points.label_tensor()).sum()) >= 85
    assert not network.training
    save_file(network.network.state_dict(), tmp_path / "mine.safetensors")
    mine = bench.load(tmp_path / "mine.safetensors", arch="digits-tiny", mean=[0.25], std=[0.5])
    images = points.images()[:4]
    assert torch.equal(mine(images), network.network((images - 0.25) / 0.5))
    with pytest.raises(UsageError, match="what network they belong to"):
        bench.load(str(tmp_path / "mine.safetensors"))


def test_files_and_folders_are_named_by_paths(tmp_path):
    assert run(["prune", "--model", "embedded:digits-tiny-linf", "--recipe", "magnitude-global", "--sparsity", "0.5",
                "--out", str(tmp_path / "thin")]) == 0  # fmt: skip
    (tmp_path / "mine.toml").write_text('extends = "digits-smoke-v1"\nname = "mine"\n[data]\npoints = 3\n')
    words = {"protocol": tmp_path / "mine.toml", "threats": "Linf", "progress": False}
    dense = bench.evaluate("embedded:digits-tiny-linf", **words, out=tmp_path / "dense")
    thin = bench.evaluate(tmp_path / "thin" / "model.safetensors", **words, parent=dense.folder, out=tmp_path / "run")
    assert thin.record.model.parent == "embedded:digits-tiny-linf"
    assert thin.record.data.points == 3
    assert thin.record.scenarios["transfer"].robust[Norm.LINF] <= thin.record.clean.correct
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["dense", "run", "thin"]


class Shifted(nn.Module):
    """What it computes from its weights hangs on a plain number, which no state dict holds."""

    def __init__(self, shift):
        super().__init__()
        self.shift = shift
        self.linear = nn.Linear(64, 10)
        self.linear.load_state_dict({"weight": torch.arange(640.0).sin().view(10, 64), "bias": torch.zeros(10)})

    def forward(self, images):
        return self.linear((images - self.shift).abs().flatten(1))


def test_the_same_weights_in_other_code_are_another_network(tmp_path):
    words = {"protocol": "digits-smoke-v1", "points": 3, "threats": "Linf", "progress": False}
    first = bench.evaluate(Shifted(0.0), **words, out=tmp_path / "run")
    again = bench.evaluate(Shifted(0.0), **words, out=tmp_path / "run")
    assert again.record == first.record
    with pytest.raises(UsageError, match="holds a run with another model"):
        bench.evaluate(Shifted(0.9), **words, out=tmp_path / "run")
    # and no parent of a network that was pruned from the other
    heard = []
    child = bench.prune(Shifted(0.9), "magnitude-global", 0.5, example=torch.rand(2, 1, 8, 8)).network
    other = bench.evaluate(
        child, parent=Shifted(0.9), method="mine", **words, out=tmp_path / "child", announce=heard.append
    )
    assert [plan.request.dense for plan in heard] == [True, False]
    assert other.record.model.parent_sha256 != first.record.model.weights_sha256


def test_code_of_ones_own_that_was_edited_adds_nothing_to_the_run_before(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    code = """
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(64, 10)
        nn.init.eye_(self.linear.weight)
    def forward(self, images):
        return self.linear(images.flatten(1))
"""
    words = ["--model", "python:edited:Net?in_chans=1&img_size=8", "--protocol", "digits-smoke-v1", "--limit", "2"]
    for text, threat, end in ((code, "Linf", 0), (code.replace("images.flat", "(1 - images).flat"), "L2", 2)):
        (tmp_path / "edited.py").write_text(text)
        importlib.invalidate_caches()
        sys.modules.pop("edited", None)
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        assert run(["evaluate", *words, "--threat", threat, "--out", "mine"]) == end
    assert "holds a run with another" in capsys.readouterr().err


@pytest.mark.parametrize("threads", [1, 2])
def test_answers_are_those_of_the_function_and_not_of_the_machine(threads):
    network = bench.load("embedded:digits-cnn-linf")
    before = torch.get_num_threads()
    expected = answers(network, (1, 8, 8))
    torch.set_num_threads(threads)
    assert answers(network, (1, 8, 8)) == expected
    torch.set_num_threads(before)
    assert max(map(abs, expected)) == 1000
    assert len(expected) == 20


def test_answers_that_are_no_numbers_tell_nothing():
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    nn.init.constant_(network[1].bias, torch.inf)
    assert answers(network, (1, 8, 8)) == []


def test_a_network_that_answers_by_chance_has_no_answers_to_tell_it_by():
    assert answers(nn.Sequential(nn.Flatten(), nn.Linear(64, 10), Noise()), (1, 8, 8)) is None


class Noise(nn.Module):
    """Adds chance to what passes."""

    def forward(self, logits):
        return logits + torch.randn_like(logits)


def test_what_the_functions_return_they_take(tmp_path):
    words = {"protocol": "digits-smoke-v1", "points": 3, "threats": "Linf", "progress": False}
    network = bench.load("embedded:digits-tiny-linf")
    dense = bench.evaluate(network, **words, out=tmp_path / "dense")
    pruned = bench.prune(network, "magnitude-global", 0.5, example=torch.rand(2, 1, 8, 8))
    assert bench.measure(network, pruned, torch.rand(2, 1, 8, 8)) == pruned.measured
    assert bench.measure(network, pruned) == pruned.measured
    odd = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(7, 2))
    with pytest.raises(UsageError, match="none of the usual sizes"):
        bench.measure(odd, odd)
    heard = []
    sparse = bench.evaluate(
        pruned, parent=dense, method="ours", **words, out=tmp_path / "sparse", announce=heard.append
    )
    assert len(heard) == 1  # the parent's result is at hand
    assert sparse.record.model.parent_sha256 == dense.record.model.weights_sha256
    images = DATASETS["digits"].load("test", range(3))
    found = bench.attack(
        pruned, images.images(), images.label_tensor(), norm="Linf", epsilon="1/10", protocol="digits-smoke-v1"
    )
    assert torch.equal(found.robust, torch.from_numpy(sparse.standing("Linf")))

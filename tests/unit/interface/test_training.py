"""Networks trained from nothing: the same bytes whatever happened on the way, and nothing that is half there."""

import json
import os
import signal
from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from bench.cli.main import run
from bench.errors import ArtefactError, UsageError
from bench.evaluation.plan.ask import File, Said, ask
from bench.interface import training
from bench.interface.training import train
from bench.models.source import ModelRef, load
from bench.threats import ThreatModel

LINF = ThreatModel.parse("Linf", "1/10")
SMALL = {"data": "digits", "points": (0, 96), "validate": (200, 260), "epochs": 4, "batch": 32, "progress": False}
ADVERSARIAL = SMALL | {"threat": LINF, "steps": 2, "seed": 5}


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def killed_in_epoch(epoch, monkeypatch, **asked):
    """Train in another process that is killed as by ``kill -9`` in the middle of an epoch."""
    child = os.fork()
    if child == 0:

        def hear(name, done, total):
            if done > (epoch - 1) * 3 + 1:
                os.kill(os.getpid(), signal.SIGKILL)

        monkeypatch.setattr(training, "bar", lambda: __import__("contextlib").nullcontext(hear))
        try:
            train(**asked | {"progress": True})
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "net"
    train("digits-resnet", out=out, **ADVERSARIAL)
    return out


def test_what_was_killed_goes_on_and_ends_in_the_same_bytes(tmp_path, undisturbed, monkeypatch):
    out = tmp_path / "net"
    for epoch in (2, 4):
        killed_in_epoch(epoch, monkeypatch, arch="digits-resnet", out=out, **ADVERSARIAL)
        assert not out.exists()
        assert (tmp_path / "net.partial" / "state.safetensors").is_file()
    heard = []
    monkeypatch.setattr(training.Training, "advance", counted(training.Training.advance, heard))
    train("digits-resnet", out=out, **ADVERSARIAL)
    assert len(heard) == 1, "three epochs were finished"
    assert files(out) == files(undisturbed)
    assert {path.name for path in tmp_path.iterdir()} == {"net"}


def counted(advance, heard):
    def advancing(self, *words):
        heard.append(1)
        return advance(self, *words)

    return advancing


def test_the_record_tells_how_and_the_weights_load_without_another_word(undisturbed):
    told = json.loads((undisturbed / "training.json").read_text())
    assert told["course"]["adversary"] == {"norm": "Linf", "epsilon": "1/10", "steps": 2}
    assert [len(told[key]) for key in ("epochs", "looks")] == [4, 4]
    assert all(look["standing"] <= look["correct"] <= 60 for look in told["looks"])
    loaded = load(ModelRef.parse(str(undisturbed / "net.safetensors")))
    assert loaded.architecture == "digits-resnet"
    assert loaded.file_digest == told["sha256"]
    assert b"<svg" in (undisturbed / "curve.svg").read_bytes()


def test_a_parent_that_was_trained_here_says_itself_what_it_is(undisturbed):
    parent = str(undisturbed / "net.safetensors")
    told = Said(method="mine", sparsity=Fraction(1, 2), parent=parent)
    plan = ask("embedded:digits-resnet-linf", "digits-smoke-v1", said=told)
    assert plan.request.origin.parent == ModelRef.parse(parent)
    told = replace(told, parent_file=File("digits-cnn"))
    plan = ask("embedded:digits-resnet-linf", "digits-smoke-v1", said=told)
    assert plan.request.origin.parent.architecture == "digits-cnn", "what the user says comes first"


def test_another_seed_or_an_attack_gives_another_network(undisturbed, tmp_path):
    mine = json.loads((undisturbed / "training.json").read_text())
    for name, change in {"seed": {"seed": 6}, "natural": {"threat": None}}.items():
        (tmp_path / name).mkdir()
        told = train("digits-resnet", out=tmp_path / name / "net", **ADVERSARIAL | change | {"epochs": 1})
        assert told["epochs"][0] != mine["epochs"][0]


def test_unfinished_work_of_another_training_or_in_ruins_is_no_start(tmp_path, monkeypatch):
    asked = SMALL | {"arch": "digits-tiny", "out": tmp_path / "net"}
    killed_in_epoch(2, monkeypatch, **asked)
    with pytest.raises(UsageError, match=r"holds an unfinished training with another course; remove '.*net\.partial'"):
        train(**asked | {"rate": 0.001})
    state = tmp_path / "net.partial" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-20])
    with pytest.raises(ArtefactError, match=r"is damaged .*to begin anew"):
        train(**asked)
    assert not (tmp_path / "net").exists()


def test_weights_that_are_not_those_of_the_record_are_refused(undisturbed, tmp_path):
    for path in undisturbed.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = tmp_path / "net.safetensors"
    weights.rename(tmp_path / "other.safetensors")
    with pytest.raises(UsageError, match="say what network they belong to with --arch"):
        ModelRef.parse(str(tmp_path / "other.safetensors"))
    weights.write_bytes((tmp_path / "other.safetensors").read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(ArtefactError, match="these are other weights"):
        ModelRef.parse(str(weights))
    assert ModelRef.parse(str(weights), architecture="digits-cnn").architecture == "digits-cnn"
    (tmp_path / "training.json").write_text("{}")
    with pytest.raises(ArtefactError, match="is no record of bench train"):
        ModelRef.parse(str(weights))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"split": "test"}, "is what networks are measured on"),
        ({"validate": (95, 120)}, "overlap"),
        ({"points": (9, 9)}, "from a smaller to a larger id"),
        ({"arch": "mnist-lenet5"}, r"takes images of 1×28×28 .* digits has images of 1×8×8"),
        ({"arch": "digits-tiny?num_classes=3"}, "tells 3 classes apart"),
        ({"threat": ThreatModel.parse("L0", "3")}, "a radius in Linf or L2"),
        ({"rate": 0.0}, "learning rate should be positive"),
        ({"rate": float("nan")}, "learning rate should be positive"),
        ({"epochs": 0}, "epochs should be 1 or more"),
        ({"std": (0.0,)}, "std a positive one"),
        ({"mean": (0.5, 0.5)}, "one number or one a channel"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(change, says, tmp_path):
    with pytest.raises(UsageError, match=says):
        train(**{"arch": "digits-tiny", "out": tmp_path / "net", **SMALL} | change)
    assert not list(tmp_path.iterdir())


def test_the_command_says_what_came_out_and_options_that_mean_nothing_are_refused(tmp_path, capfd):
    words = ["train", "--arch", "digits-tiny", "--out", str(tmp_path / "net")]
    full = [*words, "--data", "digits", "--points", "0:64", "--epochs", "2", "--mean", "0.5", "--std", "1/4"]
    assert run([*full, "--threat", "Linf"]) == 2
    assert "needs both --threat and --epsilon" in capfd.readouterr().err
    assert run(words) == 2
    assert "--data mnist --points" in capfd.readouterr().err
    assert run(["train", "--epochs", "3", "--out", str(tmp_path / "net")]) == 2
    assert "--epochs goes with --arch" in capfd.readouterr().err
    assert run(full) == 0
    said = capfd.readouterr()
    assert "digits-tiny after 2 epochs" in said.out
    assert "curve.svg" in said.err
    assert load(ModelRef.parse(str(tmp_path / "net" / "net.safetensors"))).classifier.std.item() == 0.25
    assert run(full) == 2
    assert "exists; name a new folder" in capfd.readouterr().err


def test_global_random_numbers_and_settings_stay_as_they_were(tmp_path):
    before = torch.get_rng_state(), torch.get_num_threads()
    train("digits-tiny", out=tmp_path / "net", **SMALL | {"epochs": 1})
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]

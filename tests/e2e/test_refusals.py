"""Bad input gets one clear sentence, the right exit code, and leaves nothing half-written."""

import errno
import os
from pathlib import Path

import pytest
import torch

from bench.cli.main import run
from bench.models.source import ModelRef, architecture, load
from bench.models.weights import save

SMOKE = ["--protocol", "digits-smoke-v1"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys, *words: str) -> tuple[int, str]:
    code = run(["evaluate", *words])
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return code, said


def nothing_written(folder: Path) -> bool:
    return not [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--model", "embedded:digits-cnn-natral"], 2, "Did you mean 'digits-cnn-natural'"),
        (["--model", "embeded:digits-cnn-natural"], 2, "Did you mean 'embedded'"),
        (["--model", "digits"], 2, "no model reference"),
        (["--model", "weights.safetensors"], 2, "--arch NAME"),
        (["--model", "gone.safetensors", "--arch", "cnn-a"], 3, "gone.safetensors"),
        (
            ["--model", "embedded:digits-tiny-linf", "--recipe", "magnitude-globl", "--sparsity", "0.5"],
            2,
            "Did you mean",
        ),
        (
            ["--model", "embedded:digits-tiny-linf", "--recipe", "magnitude-global", "--sparsity", "1.2"],
            2,
            "between 0 and 1",
        ),
        (["--model", "embedded:digits-tiny-linf", "--recipe", "magnitude-global"], 2, "needs --sparsity"),
        (["--model", "embedded:digits-tiny-linf", "--sparsity", "0.5"], 2, "pruned by which --recipe"),
        (["--model", "embedded:digits-tiny-linf", "--points", "5:5"], 2, "name no point"),
        (["--model", "embedded:digits-tiny-linf", "--points", "490:600"], 2, "has no point 500"),
        (["--model", "embedded:digits-tiny-linf", "--limit", "0"], 2, "at least one point"),
        (["--model", "embedded:digits-tiny-linf", "--batch-size", "many"], 2, "no batch size"),
        (["--model", "embedded:digits-tiny-linf", "--device", "abacus"], 2, "no device called"),
        (["--model", "embedded:digits-tiny-linf", "--protocol", "digit-v1"], 2, "Did you mean"),
        (["--model", "embedded:digits-tiny-linf", "--protocol", "cifar10-v1", "--limit", "5"], 2, "takes images of"),
    ],
)
def test_one_sentence_says_what_was_wrong(here, capsys, monkeypatch, words, code, sentence):
    monkeypatch.setenv("BENCH_DATA_DIR", str(here / "empty"))
    options = words if "--protocol" in words else [*words, *SMOKE]
    got, said = refused(capsys, *options, "--out", "run")
    assert (got, sentence in said) == (code, True), said
    assert nothing_written(here)


def test_missing_data_are_told_with_their_place(here, capsys, monkeypatch):
    monkeypatch.setenv("BENCH_DATA_DIR", str(here / "empty"))
    save(here / "mine.safetensors", architecture("cnn-a").build().state_dict())
    words = ["--model", "mine.safetensors", "--arch", "cnn-a", "--protocol", "cifar10-v1", "--limit", "5"]
    code, said = refused(capsys, *words, "--out", "run")
    assert code == 3
    assert "place cifar-10-python.tar.gz" in said
    assert [path.name for path in here.rglob("*") if path.is_file()] == ["mine.safetensors"]


def test_an_output_folder_that_exists_is_left_alone(here, capsys):
    (here / "run").mkdir()
    (here / "run" / "mine.txt").write_text("precious")
    code, said = refused(capsys, "--model", "embedded:digits-tiny-linf", *SMOKE, "--out", "run")
    assert code == 2
    assert "exists already" in said
    assert [path.name for path in here.rglob("*")] == ["run", "mine.txt"]


def test_nan_weights_give_no_number(here, capsys):
    tensors = load(ModelRef.parse("embedded:digits-tiny-linf")).classifier.state_dict()
    tensors = {name.removeprefix("network."): tensor.clone() for name, tensor in tensors.items()}
    next(iter(tensors.values())).view(-1)[0] = torch.nan
    save(here / "nan.safetensors", tensors)
    code, said = refused(capsys, "--model", "nan.safetensors", "--arch", "digits-tiny", *SMOKE, "--out", "run")
    assert code == 1
    assert "NaN or infinity" in said
    assert not (here / "run").exists()


def test_the_wrong_architecture_is_named_with_the_tensors_that_do_not_fit(here, capsys):
    tensors = load(ModelRef.parse("embedded:digits-tiny-linf")).classifier.state_dict()
    save(here / "tiny.safetensors", {name.removeprefix("network."): tensor for name, tensor in tensors.items()})
    code, said = refused(capsys, "--model", "tiny.safetensors", "--arch", "digits-cnn", *SMOKE, "--out", "run")
    assert code == 4
    assert "digits-cnn" in said
    assert not (here / "run").exists()


def test_a_pickle_is_not_opened(here, capsys):
    torch.save({"a": torch.zeros(1)}, here / "old.pt")
    code, said = refused(capsys, "--model", str(here / "old.pt"), "--arch", "digits-tiny", *SMOKE, "--out", "run")
    assert code in {2, 4}
    assert "bench convert" in said


@pytest.mark.parametrize("dry", [["--dry-run"], []])
def test_a_network_for_other_images_is_refused_alike_dry_or_not(here, capsys, dry):
    code, said = refused(capsys, "--model", "embedded:digits-tiny-linf", "--protocol", "cifar10-v1", *dry)
    assert code == 2
    assert said.splitlines()[-1].startswith("bench: embedded:digits-tiny-linf takes images of ")


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--model", "gone.safetensors", "--arch", "cnn-a"], 3, "Before it can start: No weights can be read"),
        (["--model", "embedded:digits-tiny-linf", *SMOKE, "--out", "there"], 2, "exists already"),
        (["--model", "embedded:digits-tiny-linf", *SMOKE], 0, "If every point stood to the end"),
    ],
)
def test_a_dry_run_prints_its_plan_and_ends_as_the_run_would_begin(here, capsys, monkeypatch, words, code, sentence):
    monkeypatch.setenv("BENCH_DATA_DIR", str(here / "empty"))
    (here / "there").mkdir()
    options = words if "--protocol" in words else [*words, "--protocol", "cifar10-v1"]
    assert run(["evaluate", *options, "--dry-run"]) == code
    told = capsys.readouterr()
    assert sentence in told.err
    assert "apgd-ce" in told.out
    assert nothing_written(here)


def test_a_full_disk_is_said_and_leaves_no_result(here, capsys, monkeypatch):
    real = os.fsync

    def full(file: int) -> None:
        if (here / "run.partial" / "journal.jsonl").exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(file)

    monkeypatch.setattr(os, "fsync", full)
    code, said = refused(capsys, "--model", "embedded:digits-tiny-linf", *SMOKE, "--out", "run")
    assert code == 1
    assert "No space left on device" in said
    assert not (here / "run").exists()
    monkeypatch.setattr(os, "fsync", real)
    assert refused(capsys, "--model", "embedded:digits-tiny-linf", *SMOKE, "--out", "run")[0] == 0

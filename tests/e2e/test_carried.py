"""An entry whose small file of weights lies in its folder: handed in, checked, recomputed, measured again."""

import json
from importlib import resources
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from bench.cli.main import run
from bench.site.build import build
from bench.submission.files import read_result

TINY = resources.files("bench.models.embedded") / "digits-tiny-linf.safetensors"
RULES = ["--arch", "digits-tiny", "--protocol", "digits-smoke-v1"]
PEOPLE = ["--author", "A. Stranger", "--licence", "MIT"]


def halved(tensors):
    """Prune as a user would: the smaller half of every matrix."""
    return {
        name: torch.where(tensor.abs() <= tensor.abs().median(), 0.0, tensor) if tensor.ndim > 1 else tensor
        for name, tensor in tensors.items()
    }


@pytest.fixture
def at_work(tmp_path, monkeypatch):
    """Work in a folder with two files of one name, the dense network's and the pruned one's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_MODEL_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("bench.evaluation.environment.code_is_dirty", lambda: False)
    for name, change in (("dense", dict), ("pruned", halved)):
        Path(name).mkdir()
        save_file(change(load_file(str(TINY))), f"{name}/model.safetensors")


def submitted(name, *words):
    """Measure a file by the rules and make an entry that carries it."""
    file = f"{name}/model.safetensors"
    assert run(["evaluate", "--model", file, *RULES, *words, "--out", f"runs/{name}"]) == 0
    assert run(["submission", "new", f"runs/{name}", "--id", name, *PEOPLE, "--weights", file]) == 0
    return f"submissions/digits-smoke-v1/{name}"


@pytest.mark.usefixtures("at_work")
def test_an_entry_is_handed_in_with_its_weights(capsys):
    dense = submitted("dense")
    told = ["--parent", "dense/model.safetensors", "--method", "by <b>hand</b>", "--sparsity", "0.5"]
    pruned = submitted("pruned", *told)
    assert run(["submission", "check", dense, pruned]) == 0, capsys.readouterr().out
    for name in ("dense", "pruned"):
        (Path(name) / "model.safetensors").unlink()
    page = build(Path("submissions"))["entries/digits-smoke-v1/pruned/index.html"].decode()
    assert "Claimed and measured" in page
    assert "by &lt;b&gt;hand&lt;/b&gt;" in page
    assert "<b>hand" not in page
    capsys.readouterr()
    for folder in (dense, pruned):
        assert run(["review", folder, "--seed", "a commit"]) == 0, capsys.readouterr()
    capsys.readouterr()
    assert run(["check", "--model", "entry:pruned", "--protocol", "digits-smoke-v1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "bench.checks/1"
    model = read_result(Path(pruned) / "result.json").model
    assert (model.ref, model.parent) == ("model.safetensors", "model.safetensors")

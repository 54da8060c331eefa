"""What ``bench prune`` wrote is loaded without being told what it is."""

import pytest
import torch
from safetensors.torch import load_file, save_file

import bench
from bench.cli.main import run
from bench.errors import ArtefactError, UsageError
from bench.models.source import state_digest


@pytest.fixture(scope="module")
def thin(tmp_path_factory):
    """Prune a file behind a normalisation."""
    root = tmp_path_factory.mktemp("pruned")
    save_file(bench.load("embedded:digits-tiny-linf").network.state_dict(), root / "net.safetensors")
    words = ["--model", str(root / "net.safetensors"), "--arch", "digits-tiny", "--mean", "0.25", "--std", "0.5"]
    assert run(["prune", *words, "--recipe", "l2-inner", "--sparsity", "1/3", "--out", str(root / "thin")]) == 0
    return root / "thin"


def test_the_manifest_says_architecture_and_normalisation(thin):
    network = bench.load(thin / "model.safetensors")
    assert (network.mean.item(), network.std.item()) == (0.25, 0.5)
    told = bench.load(str(thin / "model.safetensors"), arch="digits-tiny", mean=[0.25], std=[0.5])
    assert state_digest(network) == state_digest(told)


def test_weights_that_changed_since_are_refused_until_they_are_named(thin, tmp_path):
    tensors = {name: tensor + 1 for name, tensor in load_file(thin / "model.safetensors").items()}
    save_file(tensors, tmp_path / "model.safetensors")
    (tmp_path / "manifest.json").write_bytes((thin / "manifest.json").read_bytes())
    with pytest.raises(ArtefactError, match=r"manifest\.json beside it tells of"):
        bench.load(tmp_path / "model.safetensors")
    named = bench.load(tmp_path / "model.safetensors", arch="digits-tiny")
    assert torch.equal(named.mean, torch.zeros(1, 1, 1, 1))


def test_a_file_alone_needs_its_architecture(thin, tmp_path):
    (tmp_path / "model.safetensors").write_bytes((thin / "model.safetensors").read_bytes())
    with pytest.raises(UsageError, match="what network they belong to"):
        bench.load(tmp_path / "model.safetensors")

"""Networks at pinned addresses: fetched or placed, converted, and held against the digest of what was published."""

import hashlib
import os
from pathlib import Path

import pyautoattack
import pytest
import torch

from bench.cli.main import run
from bench.errors import ArtefactError, InputError, UsageError
from bench.models.architecture import ARCHITECTURES
from bench.models.source import ModelRef, architecture, load
from bench.models.weights import read, save
from bench.models.zoo import published
from tests.support.loopback import serving

MATERIAL = Path(os.environ.get("BENCH_DATA_DIR") or "")
OTHERWISE = {"cifar10-resnet20": "resnet20_standard", "cifar10-resnet56-groupsl": "resnet56_groupsl_regularised"} | {
    "mnist-madry-tiny": "madrycnn_nomaxpool_tiny", "mnist-smallcnn": "smallcnn_standard"
}  # fmt: skip
"""Files of the test material that are called otherwise than the networks."""


@pytest.fixture(autouse=True)
def house(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_MODEL_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "models" / "published"


@pytest.fixture
def entry(monkeypatch, tmp_path):
    """Publish a file with a list of two networks, of which the first counts, and return its line of the table."""
    with torch.random.fork_rng():
        networks = [ARCHITECTURES["digits-tiny"].build() for _ in range(2)]
    states = [{f"net.{name}": tensor for name, tensor in network.state_dict().items()} for network in networks]
    torch.save({"state_dict": states, "epoch": 7}, tmp_path / "tiny.pth")
    save(tmp_path / "tiny.safetensors", networks[0].state_dict())
    weights = load(ModelRef.parse(str(tmp_path / "tiny.safetensors"), architecture="digits-tiny")).digest
    content = (tmp_path / "tiny.pth").read_bytes()
    made = published.Published(
        address="http://127.0.0.1/a/b/0123/tiny.pth",
        sha256=hashlib.sha256(content).hexdigest(),
        weights=weights,
        key="state_dict/0",
        rename={"net": ""},
        architecture="digits-tiny",
        licence="MIT",
        says="drawn at random",
    )
    monkeypatch.setattr(published, "table", lambda: {"tiny": made})
    return made


def test_a_published_file_is_fetched_once_held_and_converted(house, monkeypatch, entry, tmp_path, capsys):
    content = (tmp_path / "tiny.pth").read_bytes()
    with serving({"/tiny.pth": content}) as server:
        here = entry.model_copy(update={"address": f"{server.url}/tiny.pth"})
        monkeypatch.setattr(published, "table", lambda: {"tiny": here})
        for _ in range(2):
            assert run(["models", "fetch", "published:tiny"]) == 0
        told = " ".join(capsys.readouterr().err.split())
        assert told.endswith(
            "evaluate --model published:tiny --protocol digits-v1 Its images are also those of digits-smoke-v1."
        )
        assert server.asked == ["GET /tiny.pth"]
    assert [path.name for path in house.iterdir()] == ["tiny.safetensors"], "the pickle is gone"
    loaded = load(ModelRef.parse("published:tiny"))
    assert (loaded.digest, str(loaded.ref), loaded.classes) == (entry.weights, "published:tiny", 10)
    assert loaded.notes["source"] == here.address
    assert run(["models", "list"]) == 0
    assert "published:tiny" in capsys.readouterr().out


def test_what_comes_and_is_another_file_is_not_kept(house, monkeypatch, entry):
    with serving({"/tiny.pth": b"something else"}) as server:
        here = entry.model_copy(update={"address": f"{server.url}/tiny.pth"})
        monkeypatch.setattr(published, "table", lambda: {"tiny": here})
        with pytest.raises(ArtefactError, match=r"sha256 .* was published"):
            published.fetch("tiny")
    assert list(house.iterdir()) == []


@pytest.mark.parametrize("name", ["tiny.pth", "tiny.safetensors"])
def test_the_published_file_or_its_weights_are_placed(house, entry, tmp_path, name):
    assert published.place("tiny", tmp_path / name) == house / "tiny.safetensors"
    assert load(ModelRef.parse("published:tiny")).digest == entry.weights
    with pytest.raises(UsageError, match="already"):
        published.place("tiny", tmp_path / name)


def test_other_weights_of_the_same_shapes_are_refused_wherever_they_come_from(house, entry, tmp_path):
    other = read(tmp_path / "tiny.safetensors")
    first = next(iter(other))
    other[first] = other[first] + 1
    save(tmp_path / "other.safetensors", other)
    with pytest.raises(ArtefactError, match="remove the file, then fetch or place"):
        published.place("tiny", tmp_path / "other.safetensors")
    assert list(house.iterdir()) == []
    published.place("tiny", tmp_path / "tiny.safetensors")
    save(house / "tiny.safetensors", other)
    with pytest.raises(ArtefactError, match="holds weights"):
        load(ModelRef.parse("published:tiny"))


def test_missing_weights_say_what_brings_them(entry):
    with pytest.raises(InputError, match=r"models fetch published:tiny, or download http://\S+ and run: bench models"):
        load(ModelRef.parse("published:tiny"))
    with pytest.raises(UsageError, match=r"tiny"):
        load(ModelRef.parse("published:tine"))


def test_every_network_of_the_table_names_a_commit_and_an_architecture_that_is_there():
    for name, found in published.table().items():
        assert architecture(found.architecture), name
        host, owner, repository, commit, *path = found.address.removeprefix("https://").split("/")
        assert host == "raw.githubusercontent.com"
        assert len(commit) == 40
        assert owner
        assert repository
        assert path


@pytest.mark.parametrize("name", sorted(published.table()))
def test_real_weights_are_those_that_the_table_names(name):
    dataset, _, rest = name.partition("-")
    path = MATERIAL / "weights" / f"{dataset}_{OTHERWISE.get(name, rest.replace('-', '_'))}.safetensors"
    if name == "cifar10-resnet18":
        path = Path(pyautoattack.__file__).parent / "examples" / "model_test.pt"
    if not path.is_file():
        pytest.skip("the networks are not at hand; set BENCH_DATA_DIR")
    published.place(name, path)
    assert load(ModelRef.parse(f"published:{name}")).digest == published.table()[name].weights

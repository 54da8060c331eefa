"""What the doctor says makes a track ready makes it ready: each command is followed as it stands."""

import io
import json
import pickle  # noqa: TID251 - the official batches are pickled, and torchvision opens them after their md5
import shlex
import tarfile

import numpy as np
import pytest

from bench.cli import doctor
from bench.cli.main import run
from bench.data.dataset import DATASETS
from bench.data.zoo import imagenet
from bench.protocol import load as loading
from bench.protocol.load import load, names
from tests.support.loopback import serving
from tests.support.photographs import lossless
from tests.support.published import repinned, tell, tell_batches


@pytest.fixture
def nothing(monkeypatch, tmp_path):
    """Return a data folder without anything in it."""
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "data"


@pytest.fixture
def pinned(monkeypatch):
    """Let the rules pin whatever is told to be published."""
    monkeypatch.setattr(loading, "load", lambda name: repinned(load(name)))


def says(name):
    """Return what the doctor says of a track, which is ready or absent, and never both."""
    state, told = doctor._points(name)
    assert (state, told.partition("; ")[0] == "not ready") in {("ok", False), ("absent", True)}
    return told


def follow(name):
    """Run the command that a track that is not ready comes with."""
    told = says(name)
    assert told.startswith("not ready; bench ")
    return run(shlex.split(told.removeprefix("not ready; bench ").partition(" (")[0]))


def black(split):
    """Return as many black images as a split of the small photographs has, with labels in turn."""
    count = {"test": 10_000, "train": 50_000}[split]
    return {"data": np.zeros((count, 3072), np.uint8), "fine_labels": [row % 100 for row in range(count)]}


@pytest.mark.parametrize("name", sorted(name for name in names() if DATASETS[load(name).data.dataset].official))
def test_every_track_that_is_not_here_comes_with_a_command_that_exists(nothing, name):
    told = says(name)
    words = shlex.split(told.removeprefix("not ready; bench ").partition(" (")[0])
    assert words[:2] in (["data", "fetch"], ["data", "place"])
    assert words[2] == load(name).data.dataset
    assert len(told) < 250
    assert ("https://image-net.org/" in told) == (words[2] == "imagenet")
    assert "at least" not in told
    assert run([*words[:2], "--help"]) == 0
    assert not list(nothing.rglob("*")), "nothing is fetched by looking"


def test_matrices_are_fetched(nothing, pinned, monkeypatch, tmp_path):
    from scipy.io import savemat

    files = {}
    for split, count in (("test", 26_032), ("train", 64)):
        path = tmp_path / f"{split}_32x32.mat"
        pixels = np.zeros((32, 32, 3, count), np.uint8)
        savemat(path, {"X": pixels, "y": (np.arange(count) % 10 + 1)[:, None]}, do_compression=True)
        files[f"/{path.name}"] = path.read_bytes()
    with serving(files) as server:
        for split in ("test", "train"):
            tell(monkeypatch, "svhn", split, files[f"/{split}_32x32.mat"], server=server.url)
        assert follow("svhn-v1") == 0
    told = says("svhn-v1")
    assert told.startswith("ready, ")
    assert told.endswith(" as pinned"), "the points held out came along"


def test_an_archive_is_fetched(nothing, pinned, monkeypatch):
    from torchvision.datasets import CIFAR100

    files = {split: pickle.dumps(black(split)) for split in ("test", "train")}
    files["meta"] = pickle.dumps({"fine_label_names": list(DATASETS["cifar100"].classes)})
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz", compresslevel=1) as archive:
        for file, content in files.items():
            entry = tarfile.TarInfo(f"{CIFAR100.base_folder}/{file}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    tell_batches(monkeypatch, "cifar100", CIFAR100, files, held.getvalue())
    with serving({f"/{CIFAR100.filename}": held.getvalue()}) as server:
        for split in ("test", "train"):
            tell(monkeypatch, "cifar100", split, server=server.url)
        assert follow("cifar100-v1") == 0
    told = says("cifar100-v1")
    assert told.startswith("ready, 1000 points of cifar100 test, read from cifar-100-python.tar.gz md5:")
    assert told.endswith(" as pinned")


def test_photographs_are_placed(nothing, pinned, monkeypatch, tmp_path, capsys):
    (archive,) = DATASETS["imagenet"].official.files["test"]
    name, digest = archive.name, archive.digest
    rules = load("imagenet-500-v1")
    looked = [*range(8), *range(492, 508), *range(1492, 1500)]
    assert (rules.data.points, rules.held_out.first, rules.held_out.points) == (500, 500, 1000)
    with tarfile.open(tmp_path / name, "w") as held:
        for point in looked:
            one = imagenet._listed()[point]
            lossless(tmp_path / "all" / one.file, 256, 256, seed=point)
            held.add(tmp_path / "all" / one.file, one.file)
    tell(monkeypatch, "imagenet", "test", (tmp_path / name).read_bytes())
    monkeypatch.chdir(tmp_path)  # where the archive was saved
    assert follow("imagenet-500-v1") == 0
    told = says("imagenet-500-v1")
    assert told.startswith("ready, 500 points of imagenet test, read from ILSVRC2012_img_val.tar md5:")
    assert told.endswith(" as pinned")
    assert digest == "md5:29b22e2961454d5413ddabcf34fc5622", "as published before this test"


def test_points_held_out_that_are_absent_are_told(nothing, monkeypatch):
    slices = nothing / "cifar100"
    slices.mkdir(parents=True)
    made = black("test")
    images = made["data"][:1000].reshape(-1, 32, 32, 3)
    labels = np.array(made["fine_labels"][:1000], np.int64)
    np.savez(slices / "test-0000-0999.npz", images=images, labels=labels, ids=np.arange(1000))
    told = says("cifar100-v1")
    assert told.startswith("ready, 1000 points")
    assert "not read from cifar-100-python.tar.gz, and no run is standard until they are: bench data fetch" in told
    assert "a run bears a warning until the points held out are there, too: bench data fetch cifar100 (" in told


def test_points_that_are_not_the_published_ones_are_no_track(nothing, capsys):
    slices = nothing / "cifar10"
    slices.mkdir(parents=True)
    images, labels = np.zeros((1000, 32, 32, 3), np.uint8), np.arange(1000) % 10
    np.savez(slices / "test-0000-0999.npz", images=images, labels=labels, ids=np.arange(1000))
    assert run(["doctor", "--json"]) == 1
    findings = {one["what"]: one for one in json.loads(capsys.readouterr().out)["findings"]}
    assert not findings["track cifar10-v1"]["ok"]
    assert "move them elsewhere, then bench data fetch cifar10" in findings["track cifar10-v1"]["says"]

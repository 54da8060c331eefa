"""Every track goes from files of the right shape to a prediction of its cost: four points through whole cascades."""

import json
from typing import NamedTuple

import numpy as np
import pytest
import torch

from bench.cli.main import run
from bench.data.dataset import DATASETS
from bench.evaluation.plan.plan import Request, plan
from bench.evaluation.plan.prepare import load_model, load_points
from bench.evaluation.search.meter import clean_logits
from bench.models.source import ModelRef, architecture, load
from bench.models.weights import save
from bench.protocol.load import load as load_protocol
from bench.protocol.load import names

POINTS = 4
MIDDLE = (0.5,)
"""Around it a network with drawn weights sees noise alone, so that its answers are no constant and points fall."""


class Track(NamedTuple):
    """What a rehearsal of a protocol needs.

    Attributes:
        folder: of the slices, in the data folder.
        arch: a small network for its images.
    """

    folder: str
    arch: str


TRACKS = {
    "cifar10-full-v1": Track("cifar10", "cnn-oval-base"),
    "cifar10-v1": Track("cifar10", "cnn-oval-base"),
    "mnist-1000-v1": Track("MNIST", "mnist-madry-tiny"),
    "mnist-v1": Track("MNIST", "mnist-madry-tiny"),
}
"""The digits, which every other test looks at, are left out."""


def test_every_protocol_has_a_rehearsal():
    assert {name for name in names() if not name.startswith("digits")} == TRACKS.keys()


def network(path, arch):
    """Write a network with drawn weights and return it."""
    made = architecture(arch)
    draws = torch.Generator().manual_seed(0)
    state = made.build().state_dict()
    drawn = {name: torch.randn(old.shape, generator=draws) / old[0].numel() ** 0.5 for name, old in state.items()}
    save(path, {name: tensor if tensor.ndim > 1 else torch.zeros_like(tensor) for name, tensor in drawn.items()})
    return load(ModelRef.parse(str(path), architecture=arch, mean=MIDDLE)).classifier


def points(folder, shape, model):
    """Write a slice of drawn images, each with the class that the network sees in it."""
    channels, height, width = shape
    pixels = np.random.default_rng(0).integers(0, 256, (POINTS, height, width, channels), dtype=np.uint8)
    with torch.no_grad():
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        labels = model(images).argmax(dim=1).numpy().astype(np.int64)
    folder.mkdir(parents=True)
    np.savez(folder / f"test-0-{POINTS - 1}.npz", images=pixels, labels=labels, ids=np.arange(POINTS))


@pytest.mark.parametrize("name", TRACKS)
def test_four_points_are_rehearsed(name, tmp_path, monkeypatch, capsys):
    track, rules = TRACKS[name], load_protocol(name)
    model = network(tmp_path / "net.safetensors", track.arch)
    points(tmp_path / "data" / track.folder, DATASETS[rules.data.dataset].shape, model)
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path / "data"))
    words = ["--model", str(tmp_path / "net.safetensors"), "--arch", track.arch, "--mean=0.5", "--protocol", name]
    assert run(["evaluate", *words, "--limit", str(POINTS), "--rehearse", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["points"], told["obstacles"], told["absent"]) == (POINTS, [], [])
    assert 0 < told["predicted"]["forwards"] < told["most"]["forwards"]
    assert 0 < told["predicted"]["backwards"] < told["most"]["backwards"]


@pytest.mark.material
@pytest.mark.parametrize(
    ("file", "arch", "correct"),
    [
        ("mnist_cnn_a_adv", "mnist-cnn-a", 9633),
        ("mnist_kw_0.1", "mnist-cnn-a", 9820),
        ("mnist_madrycnn_nomaxpool_tiny", "mnist-madry-tiny", 9794),
        ("mnist_smallcnn_standard", "mnist-smallcnn", 9944),
    ],
)
def test_the_official_digits_are_pinned_and_known_networks_tell_them_apart(file, arch, correct, material, monkeypatch):
    monkeypatch.setenv("BENCH_DATA_DIR", str(material))
    ref = ModelRef.parse(str(material / "weights" / f"{file}.safetensors"), architecture=arch)
    settled = plan(Request(ref, load_protocol("mnist-v1")))
    model, points = load_model(settled).classifier, load_points(settled)
    logits = clean_logits(model, points.images(), 500)
    assert int((logits.argmax(dim=1) == points.label_tensor()).sum()) == correct

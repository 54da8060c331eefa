"""Every track goes from files of the right shape to a prediction of its cost: four points through whole cascades."""

import json
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch.nn import functional

from bench.cli.main import run
from bench.data.dataset import DATASETS
from bench.data.photographs import Photograph
from bench.data.zoo import imagenet, imagenette
from bench.evaluation.plan.plan import Request, plan
from bench.evaluation.plan.prepare import load_model, load_points
from bench.evaluation.search.meter import clean_logits
from bench.models.source import ModelRef, architecture, load
from bench.models.weights import save
from bench.protocol.load import load as load_protocol
from bench.protocol.load import names
from tests.support.photographs import lossless

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
    "cifar100-v1": Track("cifar100", "cnn-oval-base?num_classes=100"),
    "mnist-1000-v1": Track("MNIST", "mnist-madry-tiny"),
    "mnist-v1": Track("MNIST", "mnist-madry-tiny"),
    "svhn-v1": Track("svhn", "cnn-oval-base"),
}
"""The digits, which every other test looks at, are left out."""
PHOTOGRAPHS = ("imagenet-500-v1", "imagenet-v1", "imagenette-v1")
FACTORY = """
from torch import nn


def net():
    return nn.Sequential(nn.AvgPool2d(32), nn.Flatten(), nn.Linear(147, CLASSES))
"""


def test_every_protocol_has_a_rehearsal():
    assert {name for name in names() if not name.startswith("digits")} == TRACKS.keys() | set(PHOTOGRAPHS)


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
    hold(told)
    assert 0 < told["predicted"]["forwards"] < told["most"]["forwards"]
    assert 0 < told["predicted"]["backwards"] < told["most"]["backwards"]
    sliced = f"{rules.data.dataset} test is not read from {', '.join(rules.data.files)}, by which the rules pin it: "
    assert any(reason.startswith(sliced) for reason in told["deviations"]) == bool(rules.data.files)


def hold(told):
    assert (told["points"], told["obstacles"], told["absent"]) == (POINTS, [], [])
    assert not told["standard"]
    assert 0 < told["predicted"]["forwards"] <= told["most"]["forwards"]
    assert 0 < told["predicted"]["backwards"] <= told["most"]["backwards"]


def photographs(dataset, data, monkeypatch):
    """Place drawn photographs where those of a data set are looked for."""
    if dataset == "imagenet":
        for number, one in enumerate(imagenet._listed()[:POINTS]):
            lossless(data / "imagenet" / "val" / one.folder / one.file, 256, 256, seed=number)
        return
    folder, wnids = data / "imagenette" / "imagenette2" / "val", imagenette._WNIDS
    for wnid in wnids:
        (folder / wnid).mkdir(parents=True)
    for number, wnid in enumerate(wnids[:POINTS]):
        lossless(folder / wnid / f"{number}.JPEG", 256, 256, seed=number)

    def listed(folder, classes, count):
        return tuple(Photograph(wnids[row % 10], f"{row}.JPEG", row % 10) for row in range(count))

    monkeypatch.setattr(imagenette, "mixed_in", listed)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_four_photographs_are_rehearsed_under_small_budgets(name, tmp_path, monkeypatch, capsys):
    """The network has one pattern a class and knows these four photographs by heart."""
    data = load_protocol(name).data
    monkeypatch.setenv("BENCH_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.syspath_prepend(tmp_path)
    photographs(data.dataset, tmp_path / "data", monkeypatch)
    found = DATASETS[data.dataset].load("test", range(POINTS))
    patterns = functional.avg_pool2d(found.images(), 32).flatten(1) - 0.5
    weight = torch.zeros(len(found.classes), patterns.shape[1])
    weight[found.label_tensor()] = patterns
    module = f"net_{data.dataset}_{data.points}"
    (tmp_path / f"{module}.py").write_text(FACTORY.replace("CLASSES", str(len(found.classes))))
    save(
        tmp_path / "net.safetensors",
        {"2.weight": weight, "2.bias": -(weight.sum(dim=1) + weight.square().sum(dim=1)) / 2},
    )
    ref = f"python:{module}:net?weights={tmp_path / 'net.safetensors'}&img_size=224"
    words = ["--model", ref, "--protocol", name, "--preset", "smoke", "--limit", str(POINTS)]
    assert run(["evaluate", *words, "--rehearse", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    hold(told)
    remedy = {"imagenet": "place imagenet ILSVRC2012_img_val.tar", "imagenette": "fetch imagenette"}[data.dataset]
    assert any(reason.endswith(f"by which the rules pin it: bench data {remedy}") for reason in told["deviations"])


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

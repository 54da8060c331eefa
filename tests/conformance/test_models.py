"""What every architecture and every embedded network keeps to; a new one is held to this."""

import re
from fractions import Fraction

import pytest
import torch

from bench.data.dataset import DATASETS
from bench.models import manifest
from bench.models.architecture import ARCHITECTURES
from bench.models.source import SOURCES, ModelRef, load, state_digest
from bench.models.weights import fill, read, save

architectures = pytest.mark.parametrize("name", list(ARCHITECTURES))
embedded = pytest.mark.parametrize("name", list(manifest.manifest().models))


def images(architecture, count=3):
    return torch.rand(count, *architecture.shape, generator=torch.Generator().manual_seed(0))


@architectures
def test_gives_one_logit_per_class_and_leaves_its_input_alone(name):
    architecture = ARCHITECTURES[name]
    network, given = architecture.build().eval(), images(architecture)
    before = given.clone()
    with torch.no_grad():
        logits = network(given)
    assert logits.shape == (3, architecture.classes)
    assert torch.equal(given, before)
    assert f"{sum(parameter.numel() for parameter in network.parameters()):,} parameters" in architecture.says


@architectures
def test_a_point_does_not_depend_on_its_batch_mates_or_memory_format(name):
    architecture = ARCHITECTURES[name]
    network, given = architecture.build().eval(), images(architecture)
    with torch.no_grad():
        together, alone = network(given), torch.cat([network(image[None]) for image in given])
        other = network(given.to(memory_format=torch.channels_last))
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(other, together, rtol=1e-4, atol=1e-4)


@architectures
def test_gradients_reach_the_image(name):
    architecture = ARCHITECTURES[name]
    network, given = architecture.build().eval().requires_grad_(requires_grad=False), images(architecture, 2)
    (gradient,) = torch.autograd.grad(network(given.requires_grad_()).sum(), given)
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0


@architectures
def test_building_leaves_the_global_random_numbers_alone(name):
    before = torch.get_rng_state()
    ARCHITECTURES[name].build()
    assert torch.equal(torch.get_rng_state(), before)


@architectures
def test_weights_survive_the_way_through_a_file(name, tmp_path):
    first, second = ARCHITECTURES[name].build(), ARCHITECTURES[name].build()
    save(tmp_path / "w.safetensors", first.state_dict())
    fill(second, read(tmp_path / "w.safetensors"), where="'w'", what=name)
    assert state_digest(first) == state_digest(second)


@embedded
def test_loads_frozen_deterministic_and_better_than_chance(name):
    model = load(ModelRef.parse(f"embedded:{name}"))
    exam = DATASETS["digits"].load("test", range(100))
    assert not model.classifier.training
    assert not any(parameter.requires_grad for parameter in model.classifier.parameters())
    assert model.shape == DATASETS["digits"].shape
    assert model.digest == load(ModelRef.parse(f"embedded:{name}")).digest
    logits = model.classifier(exam.images())
    assert torch.equal(logits, model.classifier(exam.images()))
    assert (logits.argmax(dim=1) == exam.label_tensor()).sum() >= 85


def test_every_source_says_what_it_takes():
    assert list(SOURCES) == ["checkpoint", "embedded", "memory", "published", "python", "robustbench", "timm"]
    for name in SOURCES:
        assert SOURCES[name].says
        assert isinstance(SOURCES[name].names(), dict)


REAL = {
    "cifar10_cnn_a_adv": "cnn-a",
    "cifar10_cnn_a_adv4": "cnn-a",
    "cifar10_cnn_a_mix": "cnn-a",
    "cifar10_conv_small_pgd": "conv-small",
    "cifar10_kw_oval_base": "cnn-oval-base",
    "cifar10_kw_small_l2_36px": "cnn-a",
    "cifar10_mmr_universal": "cnn-a",
    "cifar10_resnet20_standard": "resnet20",
    "cifar10_resnet2b_adv": "resnet2b",
    "cifar10_resnet56_groupsl_regularised": "resnet56-conv",
    "cifar10_resnet56_structpruned_2.55x": "resnet56-conv",
    "mnist_cnn_a_adv": "mnist-cnn-a",
    "mnist_kw_0.1": "mnist-cnn-a",
    "mnist_madrycnn_nomaxpool_tiny": "mnist-madry-tiny",
    "mnist_smallcnn_standard": "mnist-smallcnn",
}


def numbers(text):
    return tuple(
        float(Fraction(value.partition("/")[0]) / Fraction(value.partition("/")[2] or 1)) for value in text.split(",")
    )


@pytest.mark.material
@pytest.mark.parametrize("name", list(REAL))
def test_real_weights_reach_the_accuracy_written_beside_them(name, material, monkeypatch):
    monkeypatch.setenv("BENCH_DATA_DIR", str(material))
    card = (material / "weights" / f"{name}.md").read_text()
    normalisation = re.search(r"mean (\S+) std (\S+)", card)
    mean, std = map(numbers, normalisation.groups()) if normalisation else (None, None)
    path = material / "weights" / f"{name}.safetensors"
    model = load(ModelRef.parse(str(path), architecture=REAL[name], mean=mean, std=std))
    assert model.file_digest == re.search(r"sha256 (\w+)", card)[1]
    points = DATASETS[name.partition("_")[0]].load("test", range(1000))
    batches = zip(points.images().split(100), points.label_tensor().split(100), strict=True)
    with torch.no_grad():
        right = sum(int((model.classifier(batch).argmax(dim=1) == labels).sum()) for batch, labels in batches)
    assert f"{right / 10:.2f} %" == re.search(r"clean accuracy, first 1,000 test images: (.*)", card)[1]

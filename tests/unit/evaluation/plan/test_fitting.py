"""A network that is shown the wrong images is told the rules of those that it takes."""

import pytest

from bench.cli.main import run
from bench.data.dataset import DATASETS
from bench.evaluation.plan.fitting import fitting
from bench.models.source import LoadedModel, ModelRef, architecture
from bench.protocol.load import load, names


def taking(name, shape, classes):
    network = architecture("digits-tiny").build()
    return LoadedModel(ModelRef("published", name), network, "digits-tiny", shape, classes, digest="")


@pytest.mark.parametrize(
    ("name", "shape", "classes", "fits"),
    [
        ("mnist-cnn-a-adv", (1, 28, 28), 10, ["mnist-1000-v1", "mnist-v1"]),
        ("cifar10-cnn-a-adv", (3, 32, 32), 10, ["cifar10-v1", "cifar10-full-v1"]),
        ("mine", (3, 32, 32), 10, ["cifar10-v1", "svhn-v1", "cifar10-full-v1"]),
        ("svhn/Linf/mine", (3, 32, 32), 10, ["svhn-v1"]),
        ("resnet50.a1", (3, 224, 224), 1000, ["imagenet-500-v1", "imagenet-v1"]),
        ("digits-tiny", (1, 8, 8), 10, ["digits-v1", "digits-smoke-v1"]),
        ("large", (3, 299, 299), 1000, []),
    ],
)
def test_the_protocols_that_fit_are_those_of_its_images(name, shape, classes, fits):
    assert fitting(taking(name, shape, classes)) == fits


def test_every_protocol_fits_a_network_of_its_images():
    for name in names():
        source = DATASETS[load(name).data.dataset]
        assert name in fitting(taking(source.name, source.shape, len(source.classes)))


def test_the_error_names_the_option_and_a_protocol(capsys):
    assert run(["evaluate", "--model", "embedded:digits-tiny-linf", "--protocol", "mnist-v1", "--dry-run"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "mnist has images of 1×28×28 and 10 classes; those of digits-v1 or digits-smoke-v1 fit it" in told
    assert "--protocol digits-v1" in told

"""One's own network on one's own tensors."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

import bench
from bench.data.dataset import DATASETS
from bench.errors import ContractError, UsageError
from bench.evaluation.conduct.run import evaluate
from bench.evaluation.plan.plan import Request, plan
from bench.models.source import ModelRef, load
from bench.protocol.load import load as rules
from bench.submission.arrays import read_arrays
from bench.threats import Norm
from tests.support.linear import LinearClassifier, linear_problem

NAME = "embedded:digits-cnn-linf"


def digits(points):
    return DATASETS["digits"].load("test", range(points))


@pytest.mark.parametrize("norm", ["Linf", "L2", "L0"])
def test_verdicts_are_those_of_the_command_line_point_for_point(norm, tmp_path):
    points, protocol = digits(16), rules("digits-smoke-v1")
    found = bench.attack(
        load(ModelRef.parse(NAME)).classifier,
        points.images(),
        points.label_tensor(),
        norm=norm,
        epsilon=protocol.threat(Norm(norm)).epsilon,
        protocol="digits-smoke-v1",
    )
    request = Request(ModelRef.parse(NAME), protocol, norms=(Norm(norm),), points=(0, 16), out=tmp_path / "run")
    arrays = read_arrays(evaluate(plan(request)) / "points.npz")
    names = [name for name in arrays if name.startswith(f"broken_{norm}_") and not name.endswith("pooled")]
    assert {name.removeprefix(f"broken_{norm}_") for name in names} == set(found.broken)
    for name, broken in found.broken.items():
        assert np.array_equal(broken.numpy(), arrays[f"broken_{norm}_{name}"]), name
    assert np.array_equal(found.correct.numpy(), arrays["label"] == arrays["prediction"])
    assert int(found.robust.sum()) == int(found.correct.sum()) - sum(int(b.sum()) for b in found.broken.values())


def test_images_are_witnesses_of_their_distances():
    model, images, labels = linear_problem(points=12, shape=(1, 8, 8))
    found = bench.attack(model, images, labels, norm="Linf", epsilon="1/20", protocol="digits-smoke-v1")
    fallen = found.correct & found.distances.isfinite()
    assert bool(fallen.any())
    with torch.no_grad():
        assert (model(found.images[fallen]).argmax(dim=1) != labels[fallen]).all()
    size = (found.images - images).abs().flatten(1).amax(dim=1)
    torch.testing.assert_close(size[fallen], found.distances[fallen], rtol=0, atol=1e-7)
    assert torch.equal(found.robust, model.distance(images, labels, Norm.LINF) > 0.05)


def test_a_radius_between_the_rungs_of_a_ladder_gets_its_own():
    model, images, labels = linear_problem(points=8, shape=(1, 8, 8))
    found = bench.attack(model, images, labels, norm="L0", epsilon=3, protocol="digits-smoke-v1")
    truth = model.distance(images, labels, Norm.L0)
    assert torch.equal(found.robust, truth > 3)


@pytest.mark.parametrize(("epsilon", "exact"), [("8/255", "8/255"), (8 / 255, "8/255"), (0.031, "31/1000"), (1, "1")])
def test_radii_are_exact_however_they_are_written(epsilon, exact):
    found = bench.attack(
        LinearClassifier(torch.ones(10, 64), torch.arange(10.0)), GREY, LABEL + 9, norm="Linf", epsilon=epsilon,
        protocol="digits-smoke-v1",
    )  # fmt: skip
    assert found.threat.epsilon == Fraction(exact)


def test_the_network_stays_as_it_is():
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 10)).train()
    bench.attack(
        model, torch.rand(2, 1, 8, 8), torch.zeros(2, dtype=torch.int64), norm="L2", epsilon=1, preset=None,
        protocol="digits-smoke-v1",
    )  # fmt: skip
    assert model.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())


RISING = LinearClassifier(torch.ones(10, 64), torch.arange(10.0))
GREY, LABEL = torch.full((2, 1, 8, 8), 0.5), torch.zeros(2, dtype=torch.int64)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"images": GREY * 255}, "should lie in \\[0, 1\\]"),
        ({"images": (GREY * 255).to(torch.uint8)}, "divide by 255"),
        ({"images": GREY[0]}, "shape \\(N, C, H, W\\)"),
        ({"images": GREY * torch.nan}, "should lie in"),
        ({"labels": LABEL.float()}, "one whole number per image"),
        ({"labels": LABEL[:1]}, "one whole number per image"),
        ({"labels": LABEL + 10}, "tells 10 classes apart"),
        ({"norm": "L1"}, "L1"),
        ({"epsilon": "0.031"}, "not exact"),
        ({"epsilon": None}, "positive number"),
        ({"epsilon": -1}, "exact|positive"),
        ({"protocol": "nothing"}, "nothing"),
        ({"preset": "nothing"}, "preset"),
    ],
)
def test_what_does_not_fit_is_told_before_any_attack(given, says):
    usual = {
        "network": RISING, "images": GREY, "labels": LABEL, "norm": "Linf", "epsilon": "1/10",
        "protocol": "digits-smoke-v1",
    }  # fmt: skip
    words = usual | given
    with pytest.raises(UsageError, match=says):
        bench.attack(words.pop("network"), words.pop("images"), words.pop("labels"), **words)


@pytest.mark.parametrize("last", [nn.Softmax(dim=1), nn.LogSoftmax(dim=1), nn.Sigmoid()])
def test_probabilities_are_no_logits(last):
    torch.random.fork_rng()
    model = nn.Sequential(nn.Flatten(), LinearClassifier(torch.randn(10, 64), torch.zeros(10)), last)
    if isinstance(last, nn.Sigmoid):
        model.append(nn.Linear(10, 1))
    with pytest.raises(ContractError, match="logit"):
        bench.attack(model, GREY, LABEL, norm="Linf", epsilon="1/10", protocol="digits-smoke-v1")

"""One gradient step under L0 is as good as can be where the network is linear."""

import torch

from bench.evaluation.checks.sensitivity import input_gradients
from bench.evaluation.checks.zoo.single_step import _step
from bench.threats import Norm, ThreatModel
from tests.support.linear import linear_problem


def test_between_two_linear_classes_one_painted_step_needs_the_fewest_pixels():
    """The gradient is the same everywhere, so the most promising pixels are the best, and corners the best colours."""
    model, images, _ = linear_problem(points=40, classes=2)
    model.bias.data += torch.tensor([10.0, 0.0])
    labels = torch.zeros(40, dtype=torch.int64)
    assert torch.equal(model(images).argmax(dim=1), labels)
    needed = model.distance(images, labels, Norm.L0)
    margin = input_gradients(model, images, labels, model(images))["margin"]
    assert len(needed.unique()) > 1
    for size in range(1, int(needed.max()) + 1):
        painted = _step(images, -margin, ThreatModel.parse("L0", str(size)))
        assert int((painted != images).any(dim=1).flatten(1).sum(dim=1).max()) == size
        assert torch.equal(model(painted).argmax(dim=1) != labels, needed <= size)

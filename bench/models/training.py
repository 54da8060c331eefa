"""Train a network from scratch, naturally or adversarially, so that running it again gives the same network."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.tensors import Images, Labels
from bench.threats import Norm, ThreatModel

_TINY = 1e-12
"""Keeps divisions by the length of a zero gradient finite."""


@dataclass(frozen=True, slots=True)
class Adversary:
    """Projected gradient descent inside a ball.

    Attributes:
        steps: gradient steps after the random start.

    Source: Madry et al. 2018, arXiv:1706.06083.
    """

    threat: ThreatModel
    steps: int

    def perturb(self, model: nn.Module, images: Images, labels: Labels, draws: torch.Generator) -> Images:
        """Return images inside the ball and inside [0, 1] on which the loss is high; the model stays untouched."""
        radius = float(self.threat.epsilon)
        stride = 2.5 * radius / self.steps
        near = images + self._start(images, radius, draws)
        for _ in range(self.steps):
            near = near.clamp(0, 1).requires_grad_()
            loss = functional.cross_entropy(model(near), labels, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, near)
            near = images + self._project(near.detach() + self._step(gradient, stride) - images, radius)
        return near.clamp(0, 1).detach()

    def _start(self, images: Images, radius: float, draws: torch.Generator) -> Tensor:
        if self.threat.norm is Norm.LINF:
            return (2 * torch.rand(images.shape, generator=draws) - 1) * radius
        direction = torch.randn(images.shape, generator=draws)
        share = torch.rand((len(images), 1, 1, 1), generator=draws)
        return direction / _length(direction) * share * radius

    def _step(self, gradient: Tensor, stride: float) -> Tensor:
        if self.threat.norm is Norm.LINF:
            return gradient.sign() * stride
        return gradient / _length(gradient) * stride

    def _project(self, change: Tensor, radius: float) -> Tensor:
        if self.threat.norm is Norm.LINF:
            return change.clamp(-radius, radius)
        return change * (radius / _length(change)).clamp_max(1.0)


def _length(change: Tensor) -> Tensor:
    return change.flatten(1).norm(dim=1).clamp_min(_TINY).view(-1, 1, 1, 1)


@dataclass(frozen=True, slots=True)
class Course:
    """How a network is trained: Adam with a rate that rises and falls once, on batches in random order.

    Attributes:
        adversary: what perturbs every training batch; None trains on the images as they are.
        learning_rate: the highest of the cycle.
    """

    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float
    seed: int
    adversary: Adversary | None


def train(
    network: nn.Module, images: Images, labels: Labels, course: Course, *, on_epoch: Callable[[], object]
) -> None:
    """Initialise ``network`` from the course's seed and train it in place; it is left in evaluation mode."""
    draws = torch.Generator().manual_seed(course.seed)
    with _reproducible():
        initialise(network, draws)
        steps = course.epochs * math.ceil(len(images) / course.batch)
        optimiser = torch.optim.Adam(network.parameters(), lr=course.learning_rate, weight_decay=course.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, course.learning_rate, total_steps=steps)
        for _ in range(course.epochs):
            for rows in torch.randperm(len(images), generator=draws).split(course.batch):
                batch = images[rows]
                if course.adversary is not None:
                    batch = course.adversary.perturb(network.eval(), batch, labels[rows], draws)
                optimiser.zero_grad(set_to_none=True)
                functional.cross_entropy(network.train()(batch), labels[rows]).backward()
                optimiser.step()
                schedule.step()
            on_epoch()
        network.eval()


def initialise(network: nn.Module, draws: torch.Generator) -> None:
    """Draw weights and biases uniformly within 1 / √fan-in, and set batch norm to the identity."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = 1 / math.sqrt(module.weight[0].numel())
            nn.init.uniform_(module.weight, -bound, bound, generator=draws)
            if module.bias is not None:
                nn.init.uniform_(module.bias, -bound, bound, generator=draws)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


def correct(model: nn.Module, images: Images, labels: Labels) -> int:
    """Count the points that the model gets right."""
    with torch.no_grad(), _reproducible():
        return int((model(images).argmax(dim=1) == labels).sum())


def correct_under(model: nn.Module, images: Images, labels: Labels, adversary: Adversary, *, seed: int) -> int:
    """Count the points that the model gets right after the adversary; a quick look, no measurement."""
    with _reproducible():
        perturbed = adversary.perturb(model, images, labels, torch.Generator().manual_seed(seed))
    return correct(model, perturbed, labels)


@contextmanager
def _reproducible() -> Iterator[None]:
    """Compute on one thread, for sums are rounded by the way they are split."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)

"""Train a network from scratch, naturally or adversarially, so that running it again gives the same network."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.errors import ContractError
from bench.tensors import Images, Labels
from bench.threats import Norm, ThreatModel

_TINY = 1e-12
"""Keeps divisions by the length of a zero gradient finite."""
_AT_ONCE = 500
"""Points that are looked at together."""


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


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one pass over the training images gave, on the batches as they were learnt from.

    Attributes:
        loss: mean cross-entropy of an image.
        correct: images that were told rightly.
    """

    loss: float
    correct: int


class Training:
    """A training at work: it stops after any epoch, and goes on from its state bit for bit on the same machine.

    Attributes:
        epochs: what the finished epochs gave.
    """

    def __init__(self, network: nn.Module, images: Images, labels: Labels, course: Course) -> None:
        """Initialise ``network`` from the course's seed; it is trained in place."""
        self.epochs: list[Epoch] = []
        self._network, self._images, self._labels, self._course = network, images, labels, course
        self._draws = torch.Generator().manual_seed(course.seed)
        with _reproducible():
            initialise(network, self._draws)
        self.steps = math.ceil(len(images) / course.batch)
        rate, steps = course.learning_rate, course.epochs * self.steps
        self._optimiser = torch.optim.Adam(network.parameters(), lr=rate, weight_decay=course.weight_decay)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(self._optimiser, rate, total_steps=steps)

    @property
    def over(self) -> bool:
        """All epochs are finished."""
        return len(self.epochs) == self._course.epochs

    def advance(self, hear: Callable[[int], object] = lambda _: None) -> None:
        """Pass over all images once and leave the network in evaluation mode; ``hear`` is told the steps done so far.

        Raises:
            ContractError: if the loss is not finite.
        """
        network, course, loss, correct = self._network, self._course, 0.0, 0
        with _reproducible():
            order = torch.randperm(len(self._images), generator=self._draws)
            for step, rows in enumerate(order.split(course.batch), start=1):
                batch, labels = self._images[rows], self._labels[rows]
                if course.adversary is not None:
                    batch = course.adversary.perturb(network.eval(), batch, labels, self._draws)
                self._optimiser.zero_grad(set_to_none=True)
                logits = network.train()(batch)
                value = functional.cross_entropy(logits, labels)
                if not value.isfinite():
                    raise ContractError(
                        f"the loss of epoch {len(self.epochs) + 1} is not finite; train at a lower learning rate."
                    )
                value.backward()
                self._optimiser.step()
                self._schedule.step()
                loss += float(value.detach()) * len(rows)
                correct += int((logits.detach().argmax(dim=1) == labels).sum())
                hear(len(self.epochs) * self.steps + step)
        network.eval()
        self.epochs.append(Epoch(loss / len(self._images), correct))

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return tensors and plain values from which the same training goes on."""
        kept = self._optimiser.state_dict()
        tensors = {f"network.{name}": tensor for name, tensor in self._network.state_dict().items()}
        for index, values in kept["state"].items():
            tensors |= {f"optimiser.{index}.{name}": tensor for name, tensor in values.items()}
        tensors["draws"] = self._draws.get_state()
        plain = {
            "epochs": [asdict(epoch) for epoch in self.epochs],
            "groups": kept["param_groups"],
            "schedule": self._schedule.state_dict(),
        }
        return tensors, plain

    def restore(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Go on from a state; the network, the images and the course must be those it was taken of.

        Raises:
            KeyError, ValueError, TypeError, RuntimeError: if it is none of this training.
        """
        optimiser: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith("optimiser."):
                _, index, value = name.split(".")
                optimiser.setdefault(int(index), {})[value] = tensor
        network = {name.removeprefix("network."): tensors[name] for name in tensors if name.startswith("network.")}
        epochs = [Epoch(**epoch) for epoch in plain["epochs"]]
        self._network.load_state_dict(network, strict=True)
        self._optimiser.load_state_dict({"state": optimiser, "param_groups": plain["groups"]})
        self._schedule.load_state_dict(dict(plain["schedule"]))
        self._draws.set_state(tensors["draws"])
        self._network.eval()
        self.epochs = epochs


def train(
    network: nn.Module, images: Images, labels: Labels, course: Course, *, on_epoch: Callable[[], object]
) -> None:
    """Initialise ``network`` from the course's seed and train it in place; it is left in evaluation mode."""
    training = Training(network, images, labels, course)
    while not training.over:
        training.advance()
        on_epoch()


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
        parts = zip(images.split(_AT_ONCE), labels.split(_AT_ONCE), strict=True)
        return sum(int((model(part).argmax(dim=1) == wanted).sum()) for part, wanted in parts)


def correct_under(model: nn.Module, images: Images, labels: Labels, adversary: Adversary, *, seed: int) -> int:
    """Count the points that the model gets right after the adversary; a quick look, no measurement."""
    draws = torch.Generator().manual_seed(seed)
    with _reproducible():
        parts = zip(images.split(_AT_ONCE), labels.split(_AT_ONCE), strict=True)
        perturbed = [adversary.perturb(model, part, wanted, draws) for part, wanted in parts]
    return correct(model, torch.cat(perturbed), labels)


@contextmanager
def _reproducible() -> Iterator[None]:
    """Compute on one thread, for sums are rounded by the way they are split."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)

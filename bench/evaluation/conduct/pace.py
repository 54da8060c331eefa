"""How fast a network answers and gives gradients: one batch, once forward and once back to the images."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from bench.attacks.attack import Passes
from bench.errors import ContractError, UsageError
from bench.evaluation.search.batch import automatic_batch, footprint, room_on
from bench.evaluation.search.meter import clean_logits
from bench.models.source import LoadedModel
from bench.tensors import Images

_PATIENCE = 3.0
"""Seconds that the timed batch may take: of a heavy network fewer images are timed than an attack has in a batch."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds per image.

    Attributes:
        batch: images that were timed together.
    """

    batch: int
    forward: float
    backward: float

    def seconds(self, passes: Passes) -> float:
        """Return how long so many passes take; drawing and bookkeeping come on top."""
        return passes.forwards * self.forward + passes.backwards * self.backward


def pace(loaded: LoadedModel, images: Images, batch: int | None, memory: int | None = None) -> Pace:
    """Time a network on one batch; its images come in turn from those given.

    Args:
        loaded: the network, as it is before pruning.
        images: at least one, on the device to be timed.
        batch: points per call of an attack; None takes what suits network and device.
        memory: bytes that the run may take where it computes; None takes what suits the device.

    Raises:
        UsageError: if that has no room for one image.
        ContractError: if the network fails, or answers with NaN or infinity.
    """
    network = loaded.classifier.to(images.device)

    def turn(count: int) -> tuple[float, float]:
        return _turn(network, images[torch.arange(count, device=images.device) % len(images)])

    try:
        clean_logits(network, images[:1], 1)
        one = footprint(network, images[:1])
        turn(1)  # the first pass finds its kernels
        alone = sum(turn(1))
        wanted = batch or automatic_batch(one, images.device, room_on(images.device, memory, 0))
        count, (forward, backward) = _fitting(turn, max(1, min(wanted, int(_PATIENCE / alone))))
    except (ContractError, UsageError):
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0]
        raise ContractError(
            f"{loaded.ref} fails on images of shape {tuple(images.shape[1:])}, forward or back to them: "
            f"{type(error).__name__}: {reason.rstrip('.')}."
        ) from error
    return Pace(count, forward / count, backward / count)


def _fitting(turn: Callable[[int], tuple[float, float]], count: int) -> tuple[int, tuple[float, float]]:
    """Time a batch, or half of it as often as memory runs out."""
    while True:
        try:
            return count, turn(count)
        except torch.OutOfMemoryError:
            if count == 1:
                raise
            count //= 2


def _turn(network: nn.Module, images: Images) -> tuple[float, float]:
    """Return the seconds of one pass forward, and of the way back to the images."""
    leaf = images.detach().clone().requires_grad_()
    moments = [_moment(images.device)]
    with torch.enable_grad():
        total = network(leaf).logsumexp(dim=1).sum()
    moments.append(_moment(images.device))
    torch.autograd.grad(total, leaf)
    moments.append(_moment(images.device))
    return moments[1] - moments[0], moments[2] - moments[1]


def _moment(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()

"""The adversarial images that recipes and regimes look at: projected gradient descent, nothing that grades a result."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.errors import UsageError
from bench.pruning.chance import uniform
from bench.pruning.parts import parts_of, side_by_side
from bench.pruning.recipe import Calibration, Context
from bench.tensors import Images, Labels, portion
from bench.threats import Norm, ThreatModel

PART = 32
"""Images that climb together on a processor: more fall out of its cache and take longer each."""


def threat_of(context: Context, who: str) -> ThreatModel:
    """Return the threat model that ``who`` works under.

    Raises:
        UsageError: if there is none, or none that a gradient step can follow.
    """
    if context.threat is None or context.threat.norm is Norm.L0:
        raise UsageError(
            f"{who} follows adversarial gradients; it needs a threat model in Linf or L2, such as "
            "bench.threats.ThreatModel.parse('Linf', '8/255')."
        )
    return context.threat


def calibration_of(context: Context, who: str) -> Calibration:
    """Return the training images that ``who`` may look at.

    Raises:
        UsageError: if there are none.
    """
    if context.calibration is None or not len(context.calibration[0]):
        raise UsageError(f"{who} looks at training images, and none were given.")
    return context.calibration


def pgd(
    network: nn.Module,
    images: Images,
    labels: Labels,
    threat: ThreatModel,
    *,
    steps: int,
    seed: int,
    purpose: str,
    batch: int | None = None,
) -> Images:
    """Return images moved inside the ball against the cross-entropy of their labels.

    Random start, ``steps`` steps of a quarter of the radius; gradients with respect to the images alone. The network
    keeps its mode. With a ``batch``, so many images draw together, and an accelerator sees no more at once.

    Source: Madry et al. 2018, arXiv:1706.06083.
    """

    def loss(logits: Tensor, rows: slice) -> Tensor:
        return functional.cross_entropy(logits, labels[rows], reduction="sum")

    if batch is None:
        start = somewhere(images, threat, seed, purpose)
    else:
        drawn = [somewhere(part, threat, seed, f"{purpose}|{index}") for index, part in enumerate(images.split(batch))]
        start = torch.cat(drawn)
    return ascend(network, images, start, loss, threat, steps=steps, batch=batch)


def somewhere(images: Images, threat: ThreatModel, seed: int, purpose: str) -> Images:
    """Return random images inside the ball."""
    radius = float(threat.epsilon)
    noise = uniform(images.numel(), seed=seed, purpose=purpose).view(images.shape).to(images) * 2 - 1
    return (images + _inside(noise * radius, radius, threat.norm)).clamp(0, 1)


def ascend(
    network: nn.Module,
    images: Images,
    start: Images,
    loss: Callable[[Tensor, slice], Tensor],
    threat: ThreatModel,
    *,
    steps: int,
    batch: int | None = None,
) -> Images:
    """Return images moved inside the ball so that ``loss(logits, rows)`` grows, the sum over images of these rows.

    Images climb in parts, each by itself; that changes nothing but the time it takes.
    """
    parts = parts_of(
        len(images), portion(images, PART) if images.device.type == "cpu" else batch or max(len(images), 1)
    )

    def climb(copy: nn.Module, rows: slice) -> Images:
        return _climb(copy, images[rows], start[rows], loss, rows, threat, steps)

    frozen = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in frozen:
        parameter.requires_grad = False
    try:
        ends = list(side_by_side(network, climb, parts))
    finally:
        for parameter in frozen:
            parameter.requires_grad = True
    return torch.cat(ends) if ends else start


def _climb(
    network: nn.Module,
    images: Images,
    moved: Images,
    loss: Callable[[Tensor, slice], Tensor],
    rows: slice,
    threat: ThreatModel,
    steps: int,
) -> Images:
    radius = float(threat.epsilon)
    for _ in range(steps):
        moved = moved.detach().requires_grad_()
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(loss(network(moved), rows), moved)
        step = moved.detach() + radius / 4 * _direction(gradient, threat.norm)
        moved = (images + _inside(step - images, radius, threat.norm)).clamp(0, 1)
    return moved.detach()


def _direction(gradient: Tensor, norm: Norm) -> Tensor:
    if norm is Norm.LINF:
        return gradient.sign()
    length = gradient.flatten(1).norm(dim=1).clamp_min(1e-12)
    return gradient / length.view(-1, 1, 1, 1)


def _inside(delta: Tensor, radius: float, norm: Norm) -> Tensor:
    if norm is Norm.LINF:
        return delta.clamp(-radius, radius)
    length = delta.flatten(1).norm(dim=1).clamp_min(1e-12)
    return delta * (radius / length).clamp_max(1.0).view(-1, 1, 1, 1)

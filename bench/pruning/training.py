"""Training a pruned network while its masks hold, and renewing the statistics of batch norm."""

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from bench.errors import ContractError
from bench.pruning.adversary import ascend, calibration_of, pgd, somewhere, threat_of
from bench.pruning.chance import permutation
from bench.pruning.masks import evaluating
from bench.pruning.recipe import Context, Masks
from bench.tensors import Images, Labels

Loss: TypeAlias = Callable[[nn.Module, Images, Labels, str], Tensor]
"""(network, images, labels, purpose of the random numbers) to the mean loss of a batch."""


def recalibrate(network: nn.Module, images: Images, batch: int) -> None:
    """Replace the running statistics of every batch norm by the average over the images, passed once, in order.

    Nothing but batch norm is in training mode, and no weight moves. Batches are of equal size, give or take one, so
    that each counts alike. A network without batch norm stays as it is.

    Source: the batch-norm recalibration of Li et al. 2020, arXiv:2007.02491 (EagleEye).
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    with evaluating(network), torch.no_grad():
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
            norm.training = True
        for part in images.tensor_split(math.ceil(len(images) / batch)):
            network(part)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def natural(context: Context) -> Loss:
    """Return the cross-entropy of clean images."""
    del context
    return lambda network, images, labels, _: functional.cross_entropy(network(images), labels)


def adversarial(context: Context) -> Loss:
    """Return the cross-entropy of PGD images, crafted in evaluation mode.

    Source: Madry et al. 2018, arXiv:1706.06083.
    """
    threat, steps = threat_of(context, "adversarial training"), context.training.steps

    def loss(network: nn.Module, images: Images, labels: Labels, purpose: str) -> Tensor:
        with evaluating(network):
            moved = pgd(network, images, labels, threat, steps=steps, seed=context.seed, purpose=purpose)
        return functional.cross_entropy(network(moved), labels)

    return loss


def trades(context: Context) -> Loss:
    """Return the clean cross-entropy plus beta times the divergence between clean and adversarial predictions.

    Source: Zhang et al. 2019, arXiv:1901.08573.
    Differs from the source: the start is uniform in the ball and a step is a quarter of the radius, as for PGD here.
    """
    threat, training = threat_of(context, "TRADES"), context.training

    def loss(network: nn.Module, images: Images, labels: Labels, purpose: str) -> Tensor:
        with evaluating(network):
            with torch.no_grad():
                clean = network(images).log_softmax(dim=1)
            moved = ascend(
                network,
                images,
                somewhere(images, threat, context.seed, purpose),
                lambda logits, rows: _divergence(logits, clean[rows]).sum(),
                threat,
                steps=training.steps,
            )
        logits = network(images)
        robust = _divergence(network(moved), logits.log_softmax(dim=1)).mean()
        return functional.cross_entropy(logits, labels) + training.beta * robust

    return loss


def _divergence(logits: Tensor, reference: Tensor) -> Tensor:
    """Return KL(reference ‖ prediction) per image; the reference comes as log-probabilities."""
    return functional.kl_div(logits.log_softmax(dim=1), reference, reduction="none", log_target=True).sum(dim=1)


def finetune(network: nn.Module, masks: Masks, context: Context, loss: Loss, who: str) -> None:
    """Train every parameter that is kept, in place.

    The gradient, the weight and its momentum are masked in every step: momentum and weight decay revive pruned weights
    otherwise. Batch norm is recalibrated first, since attacks are crafted in evaluation mode. No augmentation.
    """
    images, labels = calibration_of(context, who)
    training = context.training
    recalibrate(network, images, training.batch)
    network.train().requires_grad_(requires_grad=True)
    optimizer = torch.optim.SGD(
        network.parameters(), lr=training.rate, momentum=training.momentum, weight_decay=training.decay
    )
    steps = math.ceil(len(images) / training.batch)
    parameters = dict(network.named_parameters())
    dropped = {name: ~mask.to(parameters[name].device) for name, mask in masks.items()}
    for step in range(training.epochs * steps):
        epoch, part = divmod(step, steps)
        order = torch.tensor(permutation(len(images), seed=context.seed, purpose=f"{who}|{epoch}"))
        chosen = order.to(images.device).tensor_split(steps)[part]
        for group in optimizer.param_groups:
            group["lr"] = training.rate * (1 + math.cos(math.pi * step / (training.epochs * steps))) / 2
        optimizer.zero_grad(set_to_none=True)
        value = loss(network, images[chosen], labels[chosen], f"{who}|{step}")
        if not value.isfinite():
            raise ContractError(f"{who}: the loss of step {step} is not finite; such a training gives no network.")
        value.backward()
        optimizer.step()
        _hold(parameters, dropped, optimizer)
    network.eval()


def _hold(parameters: dict[str, nn.Parameter], dropped: dict[str, Tensor], optimizer: torch.optim.Optimizer) -> None:
    with torch.no_grad():
        for name, gone in dropped.items():
            parameters[name].masked_fill_(gone, 0.0)
            momentum = optimizer.state[parameters[name]].get("momentum_buffer")
            if momentum is not None:
                momentum.masked_fill_(gone, 0.0)

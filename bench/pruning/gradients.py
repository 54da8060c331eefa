"""Gradients of the loss with respect to the weights, over the calibration images."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from bench.pruning.adversary import calibration_of, pgd, threat_of
from bench.pruning.masks import evaluating
from bench.pruning.parts import parts_of, side_by_side
from bench.pruning.recipe import Context
from bench.tensors import Images, Labels, portion

BATCH = 128
"""Images that draw together."""
PART = 32
"""Images that are differentiated together; more fall out of a processor's cache."""


def clean_gradients(network: nn.Module, weights: Mapping[str, Tensor], context: Context, who: str) -> dict[str, Tensor]:
    """Return the mean gradient of the cross-entropy on the calibration images, per weight."""
    images, labels = calibration_of(context, who)
    return _mean_gradients(network, weights, images, labels)


def adversarial_gradients(
    network: nn.Module, weights: Mapping[str, Tensor], context: Context, who: str
) -> dict[str, Tensor]:
    """Return the mean gradient of the cross-entropy on PGD images, per weight."""
    threat = threat_of(context, who)
    images, labels = calibration_of(context, who)
    if not weights:
        return {}
    with evaluating(network):
        steps = context.training.steps
        moved = pgd(network, images, labels, threat, steps=steps, seed=context.seed, purpose=who, batch=BATCH)
    return _mean_gradients(network, weights, moved, labels)


def saliency(weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return |w · ∂L/∂w|, the first-order change of the loss when a weight goes."""
    return {name: (weight.double() * gradients[name].double()).abs() for name, weight in weights.items()}


def _mean_gradients(
    network: nn.Module, weights: Mapping[str, Tensor], images: Images, labels: Labels
) -> dict[str, Tensor]:
    """Differentiate in evaluation mode: in training mode batch norm would change under the eyes of the recipe."""
    leaves = {name: weight.detach().requires_grad_() for name, weight in weights.items()}

    def differentiate(copy: nn.Module, rows: slice) -> tuple[Tensor, ...]:
        with torch.enable_grad():
            logits = functional_call(copy, leaves, (images[rows],))
            return torch.autograd.grad(
                functional.cross_entropy(logits, labels[rows], reduction="sum"), [*leaves.values()]
            )

    total = {name: torch.zeros_like(weight, dtype=torch.float64) for name, weight in weights.items()}
    with evaluating(network):
        for gradients in side_by_side(network, differentiate, parts_of(len(images), portion(images, PART))):
            for name, gradient in zip(leaves, gradients, strict=True):
                total[name] += gradient
    return {name: gradient / len(images) for name, gradient in total.items()}

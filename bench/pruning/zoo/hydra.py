"""HYDRA: learn which weights to keep under adversarial training, the weights themselves frozen."""

import copy
import math
from collections.abc import Mapping
from fractions import Fraction

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from bench.errors import ContractError
from bench.pruning.adversary import calibration_of, pgd, threat_of
from bench.pruning.allocation import uniform_quota
from bench.pruning.chance import permutation
from bench.pruning.masks import apply, chosen_weights, evaluating, keep_per_layer, kept_wanted
from bench.pruning.recipe import RECIPES, Context, Masks, Needs, Recipe, Scope, Structure
from bench.pruning.training import recalibrate
from bench.tensors import Images, Labels

RATE, DECAY = 0.1, 1e-4
"""Learning rate and weight decay of the scores, from the source."""


def hydra(network: nn.Module, sparsity: Fraction, context: Context) -> Masks:
    """Keep the largest learned |s| of each layer, all layers to the same sparsity.

    Forward passes multiply the frozen weights with the mask of the largest |s|; the gradient goes straight through to
    s. Scores start at the weights, scaled to √(6 / fan-in) per layer. Adversarial images come from the masked network.

    Source: Sehwag et al. 2020, arXiv:2002.10509.
    Differs from the source: epochs are those of the context, the loss is the cross-entropy of PGD images, and batch
    norm has the statistics of the masked network, renewed every epoch, where the source also
    trains its scale and shift.
    """
    threat_of(context, "hydra")
    weights = chosen_weights(network, context)
    quota = uniform_quota(weights, kept_wanted(weights, sparsity))
    images, labels = calibration_of(context, "hydra")
    scores = {name: _start(weight).requires_grad_() for name, weight in weights.items()}
    training = context.training
    optimizer = torch.optim.SGD(scores.values(), lr=RATE, momentum=training.momentum, weight_decay=DECAY)
    steps = math.ceil(len(images) / training.batch)
    for epoch in range(training.epochs):
        order = torch.tensor(permutation(len(images), seed=context.seed, purpose=f"hydra|{epoch}"))
        masked = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        apply(masked, _masks(weights, scores, quota))
        recalibrate(masked, images, training.batch)
        for part, chosen in enumerate(order.to(images.device).tensor_split(steps)):
            for group in optimizer.param_groups:
                done = (epoch * steps + part) / (training.epochs * steps)
                group["lr"] = RATE * (1 + math.cos(math.pi * done)) / 2
            purpose = f"hydra|{epoch}|{part}"
            _step(masked, weights, scores, quota, images[chosen], labels[chosen], context, purpose, optimizer)
    return _masks(weights, scores, quota)


def _start(weight: Tensor) -> Tensor:
    """Return the first scores; a layer of zeros has nothing to scale."""
    largest = weight.abs().max().clamp_min(torch.finfo(weight.dtype).tiny)
    return math.sqrt(6 / weight[0].numel()) * weight / largest


def _masks(weights: Mapping[str, Tensor], scores: Mapping[str, Tensor], quota: Mapping[str, int]) -> dict[str, Tensor]:
    return keep_per_layer(weights, {name: score.detach().abs() for name, score in scores.items()}, quota)


def _step(
    network: nn.Module,
    weights: Mapping[str, Tensor],
    scores: Mapping[str, Tensor],
    quota: Mapping[str, int],
    images: Images,
    labels: Labels,
    context: Context,
    purpose: str,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Attack the masked network, then move the scores along the gradient that reaches its weights."""
    masks = {name: mask.to(weights[name].device) for name, mask in _masks(weights, scores, quota).items()}
    leaves = {name: (weights[name] * mask).requires_grad_() for name, mask in masks.items()}
    with torch.no_grad():
        for name, leaf in leaves.items():
            network.get_parameter(name).copy_(leaf)
    threat, steps = threat_of(context, "hydra"), context.training.steps
    with evaluating(network):
        moved = pgd(network, images, labels, threat, steps=steps, seed=context.seed, purpose=purpose)
        with torch.enable_grad():
            loss = functional.cross_entropy(functional_call(network, leaves, (moved,)), labels)
    if not loss.isfinite():
        raise ContractError("hydra: the loss is not finite, so no score can be learned.")
    gradients = torch.autograd.grad(loss, list(leaves.values()))
    for (name, score), gradient in zip(scores.items(), gradients, strict=True):
        score.grad = gradient * weights[name] * score.detach().sign()
    optimizer.step()


RECIPES.register("hydra")(
    Recipe(
        name="hydra",
        decide=hydra,
        structure=Structure.UNSTRUCTURED,
        scope=Scope.LAYER,
        needs=Needs.TRAINING,
        version=1,
        source="Sehwag et al. 2020, arXiv:2002.10509",
        nested=False,
    )
)

"""Input gradients of the losses that attacks ascend."""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from bench.attacks.losses import cross_entropy, margin, runner_up, targeted_dlr
from bench.attacks.units import exponents, in_units
from bench.errors import ContractError
from bench.evaluation.checks.check import Evidence
from bench.tensors import Classifier, Images, Labels, Logits, portion

LOSSES: Mapping[str, Callable[[Logits, Labels], Float[Tensor, " batch"]]] = {
    "cross-entropy": cross_entropy,
    "margin": margin,
    "DLR": lambda logits, labels: targeted_dlr(logits, labels, runner_up(logits.detach(), labels, 0)),
}
"""The losses of the attacks that follow gradients."""


def gradients_at(evidence: Evidence, rows: Tensor) -> dict[str, Images]:
    """Return the input gradients of some of the clean images.

    Raises:
        ContractError: if the logits do not depend on the image by any path that gradients can take.
    """
    return input_gradients(evidence.model, evidence.images[rows], evidence.labels[rows], evidence.logits[rows])


def input_gradients(classifier: Classifier, images: Images, labels: Labels, clean: Logits) -> dict[str, Images]:
    """Return, per loss, the gradient of each point's loss with respect to its image, in the unit that attacks see.

    Args:
        classifier: the model.
        images: to be differentiated.
        labels: their true classes.
        clean: the logits of these images, which tell the unit.

    Raises:
        ContractError: if the logits do not depend on the image by any path that gradients can take.
    """
    size = portion(images, max(len(images), 1))
    split = zip(images.split(size), labels.split(size), exponents(clean).split(size), strict=True)
    parts = [_gradients(in_units(classifier, unit), image, label) for image, label, unit in split]
    return {name: torch.cat([part[name] for part in parts]) for name in LOSSES}


def _gradients(classifier: Classifier, images: Images, labels: Labels) -> dict[str, Images]:
    found = {}
    with torch.enable_grad():
        leaf = images.detach().clone().requires_grad_()
        logits = classifier(leaf)
        if not logits.requires_grad:
            raise ContractError("no gradient leads from the logits back to the image.")
        for name, loss in LOSSES.items():
            value = loss(logits, labels).sum()
            (gradient,) = torch.autograd.grad(value, leaf, retain_graph=True, materialize_grads=True)
            found[name] = gradient
    return found


def kept_promise(evidence: Evidence, rows: Tensor, gradient: Images) -> Float[Tensor, " some"]:
    """Hold the gradient of the margin against what the margin does a quarter of a grey level along and against it.

    Args:
        evidence: of the model under suspicion.
        rows: places of clean images.
        gradient: of the margin at them, in the unit that attacks see.

    Returns:
        For the images that have a gradient, how far the margin rises over how far the gradient says, 1 on a plane; what
        float32 may have rounded off is given back.
    """
    images, labels, clean = evidence.images[rows], evidence.labels[rows], evidence.logits[rows]
    longest = gradient.flatten(1).abs().amax(dim=1)
    along = _STEP * gradient / longest.view(-1, 1, 1, 1).clamp_min(torch.finfo(gradient.dtype).tiny)
    ends = (images + along).clamp(0, 1), (images - along).clamp(0, 1)
    with torch.no_grad():
        size = portion(images, max(len(images), 1))
        far, near = (torch.cat([evidence.model(part) for part in end.split(size)]) for end in ends)
    # margins are taken in the unit of the gradient, exactly
    unit = torch.ldexp(torch.ones(len(rows), dtype=torch.float64, device=rows.device), -exponents(clean))
    risen = (margin(far.double(), labels) - margin(near.double(), labels)) * unit
    said = (gradient.double() * (ends[0] - ends[1]).double()).flatten(1).sum(dim=1)
    largest = clean.abs().amax(dim=1)
    slack = _ROUNDINGS * (torch.nextafter(largest, torch.full_like(largest, torch.inf)) - largest).double() * unit
    sloped = said > 0
    return ((risen + slack) / said)[sloped].float()


_STEP = 1e-3
"""A quarter of a grey level."""
_ROUNDINGS = 4
"""Of the largest logit: four logits make up a rise."""


def vanishing(gradients: Mapping[str, Images]) -> dict[str, Tensor]:
    """Tell, per loss, which points have a gradient that is exactly zero."""
    return {name: (gradient == 0).flatten(1).all(dim=1) for name, gradient in gradients.items()}

"""The objectives that gradient attacks ascend, one number per point."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from bench.tensors import Ids, Labels, Logits

_TINY = 1e-12  # in the unit in which attacks see logits


def cross_entropy(logits: Logits, labels: Labels) -> Float[Tensor, " batch"]:
    """Return the cross-entropy of the true class."""
    return functional.cross_entropy(logits, labels, reduction="none")


def margin(logits: Logits, labels: Labels) -> Float[Tensor, " batch"]:
    """Return the true logit minus the largest other one: negative exactly where the point is lost."""
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return of_class(logits, labels) - others.amax(dim=1)


def probability_margin(logits: Logits, labels: Labels) -> Float[Tensor, " batch"]:
    """Return the largest other probability minus the true one: positive exactly where the point is lost.

    Between -1 and 1. Its gradient is the logit margin's, weighed by how likely the two classes are, so that it aims at
    one class where that is close and at all of them where none is.

    Source:
        Xie et al. 2024, arXiv:2411.15210.
    """
    return -margin(logits.softmax(dim=1), labels)


def targeted_difference(logits: Logits, labels: Labels, targets: Labels) -> Float[Tensor, " batch"]:
    """Return the target's logit minus the true one: positive once the target has overtaken the true class."""
    return of_class(logits, targets) - of_class(logits, labels)


def targeted_dlr(logits: Logits, labels: Labels, targets: Labels) -> Float[Tensor, " batch"]:
    """Return the targeted difference over the gap from the largest logit to the mean of the third and fourth.

    The quotient does not change when the logits are shifted or scaled. With fewer than four classes there is no such
    gap (and from the third logit alone the loss would be constant where that is the target), so the plain difference
    is returned.

    Source:
        Croce & Hein 2020, arXiv:2003.01690.
    """
    difference = targeted_difference(logits, labels, targets)
    if logits.shape[1] < 4:
        return difference
    largest = logits.topk(4, dim=1).values
    return difference / (largest[:, 0] - largest[:, 2:].mean(dim=1) + _TINY)


def runner_up(logits: Logits, labels: Labels, rank: int | Ids) -> Labels:
    """Return the class with the ``rank``-th largest logit (from 0) among those that are not the true one."""
    others = logits.scatter(1, labels[:, None], -torch.inf)
    ranked = others.argsort(dim=1, descending=True, stable=True)
    return ranked[:, rank] if isinstance(rank, int) else ranked.gather(1, rank[:, None])[:, 0]


def of_class(logits: Logits, classes: Labels) -> Float[Tensor, " batch"]:
    """Return each point's logit of one class."""
    return logits.gather(1, classes[:, None])[:, 0]

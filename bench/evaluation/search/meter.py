"""Counts the passes an attack makes, stops one that overruns its budget, and never asks a network about no images."""

import torch
from torch import Tensor

from bench.attacks.attack import Passes
from bench.errors import ContractError
from bench.tensors import Classifier, Images, Logits


class Meter:
    """A classifier that counts how many images pass forward and backward through it, and changes nothing else.

    No images have no logits, and networks need not know that: some reshape, fold or index what they are given. So an
    empty batch is answered here, and an attack whose points have all fallen needs no care of its own.

    Args:
        classifier: the model under attack.
        classes: number of logits, the width of the answer to an empty batch.
        limit: the most passes in all; None counts without a limit.

    Raises:
        ContractError: on the call that exceeds the limit, or if logits are not finite.
    """

    def __init__(self, classifier: Classifier, classes: int, limit: Passes | None = None) -> None:
        self._classifier = classifier
        self.classes = classes
        self._limit = limit
        self.forwards = 0
        self.backwards = 0

    def __call__(self, images: Images, /) -> Logits:
        """Return the logits, counted."""
        if not len(images):
            return images.flatten(1)[:, :1].expand(0, self.classes)  # joined to the graph, as logits are
        self.forwards += len(images)
        if self._limit and self.forwards > self._limit.forwards:
            raise ContractError(f"attack made {self.forwards} forward passes; its budget is {self._limit.forwards}.")
        logits = self._classifier(images)
        if logits.requires_grad:
            logits.register_hook(self._count_backward)
        return logits

    def _count_backward(self, gradient: Tensor) -> None:
        self.backwards += len(gradient)
        if self._limit and self.backwards > self._limit.backwards:
            raise ContractError(f"attack made {self.backwards} backward passes; its budget is {self._limit.backwards}.")


@torch.no_grad()
def clean_logits(classifier: Classifier, images: Images, batch: int) -> Logits:
    """Return the logits of unperturbed images, batch by batch.

    Raises:
        ContractError: if a logit is NaN or infinite; such a model gives no number.
    """
    logits = torch.cat([classifier(part) for part in images.split(batch)])
    if not logits.isfinite().all():
        point = int((~logits.isfinite().all(dim=1)).nonzero()[0])
        raise ContractError(f"the model returned NaN or infinite logits (first at point {point}); it gives no number.")
    return logits

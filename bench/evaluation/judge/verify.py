"""Judges candidates with a fresh forward pass and a fresh measurement; nothing grades itself."""

from typing import NamedTuple

import torch
from torch import Tensor

from bench.errors import ContractError
from bench.evaluation.judge.distances import ceiling, distance
from bench.tensors import Classifier, Distances, Flags, Images, Labels, portion
from bench.threats import Norm, ThreatModel

BATCH = 250
"""Images per verification pass at most; differs from what attacks use, so a verdict never hangs on one batch size."""


class Verdict(NamedTuple):
    """What became of the candidates of a batch."""

    fooled: Flags
    """The model misclassifies the candidate, a finite image in [0, 1]."""
    inside: Flags
    """The candidate lies within the threat model's ball."""
    distances: dict[Norm, Distances]
    """Size of the perturbation in every norm."""


@torch.no_grad()
def verify(
    classifier: Classifier, originals: Images, candidates: Tensor, labels: Labels, threat: ThreatModel
) -> Verdict:
    """Judge candidates, whatever their attack believes.

    Raises:
        ContractError: if a candidate has another shape or type, is not finite or leaves [0, 1], or if the model
            answers with NaN; no number comes of such a run.
    """
    if candidates.shape != originals.shape or candidates.dtype != originals.dtype:
        raise ContractError(
            f"attack returned {candidates.dtype} of shape {tuple(candidates.shape)}; "
            f"expected {originals.dtype} of shape {tuple(originals.shape)}."
        )
    if not candidates.isfinite().all():
        raise ContractError("attack returned NaN or infinity instead of pixels.")
    if len(candidates) and not 0 <= float(candidates.min()) <= float(candidates.max()) <= 1:
        raise ContractError(f"attack left [0, 1]: pixels from {candidates.min():.6g} to {candidates.max():.6g}.")
    fooled = torch.zeros_like(labels, dtype=torch.bool)
    if len(candidates):
        logits = torch.cat([classifier(part) for part in candidates.split(portion(candidates, BATCH))])
        if not logits.isfinite().all():
            raise ContractError("the model returned NaN or infinite logits for a candidate; it gives no number.")
        fooled = logits.argmax(dim=1) != labels
    sizes = {norm: distance(originals, candidates, norm) for norm in Norm}
    return Verdict(fooled, sizes[threat.norm] <= ceiling(threat), sizes)

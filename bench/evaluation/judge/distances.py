"""How far a candidate lies from its original, in every norm, measured on the stored images."""

import torch

from bench.tensors import Distances, Images
from bench.threats import Norm, ThreatModel, surface


def distance(originals: Images, candidates: Images, norm: Norm) -> Distances:
    """Return the size of each perturbation in pixel units (L0: number of changed positions)."""
    if norm is Norm.L0:
        return (candidates != originals).any(dim=1).flatten(1).sum(dim=1).to(torch.float32)
    change = (candidates.double() - originals.double()).flatten(1)
    if norm is Norm.LINF:
        return change.abs().amax(dim=1).float()
    return change.norm(dim=1).float()


def ceiling(threat: ThreatModel) -> float:
    """Return the largest measured distance that still counts as inside the ball."""
    return surface(threat.norm, float(threat.epsilon))

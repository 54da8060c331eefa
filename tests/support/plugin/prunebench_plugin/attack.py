"""Paints the whole image white."""

import torch

from bench.attacks.attack import ATTACKS, Access, Attack, Kind, Passes, Round
from bench.threats import Norm


def propose(model, points, threat, settings, draws):
    white = torch.ones_like(points.images)
    with torch.no_grad():
        fooled = model(white).argmax(dim=1) != points.labels
    return torch.where(fooled[:, None, None, None], white, points.images)


ATTACKS.register("plugged-white")(
    Attack(
        name="plugged-white",
        propose=propose,
        rounds=lambda settings, threat, classes: (Round(0, float(threat.epsilon), Passes(1, 0)),),
        norms=frozenset({Norm.LINF, Norm.L2}),
        kind=Kind.MINIMUM_NORM,
        access=Access.BLACK_BOX,
        settings={},
        source="nobody's",
    )
)

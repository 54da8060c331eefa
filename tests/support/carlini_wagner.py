"""The L2 attack of Carlini & Wagner, as the material a check must catch when it is set wrongly.

Source: Carlini & Wagner 2017, arXiv:1608.04644, section VI, with Foolbox's binary search over the constant.
"""

import torch

from bench.attacks.attack import Access, Attack, Kind, Passes, Round
from bench.threats import Norm

SEED_SETTINGS = {"searches": 9, "steps": 60, "rate": 1.0, "constant": 100.0}
"""Step size and first constant of the seed paper's code; its authors meant 5,000 steps, aborted when stuck."""
_INSIDE = 0.999999


def propose(model, points, threat, settings, draws):
    """Return the nearest misclassified image met."""
    del threat, draws
    best, nearest = points.images.clone(), torch.full_like(points.distance, torch.inf)
    low, high = torch.zeros_like(nearest), torch.full_like(nearest, torch.inf)
    constant = torch.full_like(nearest, settings["constant"])
    for _ in range(settings["searches"]):
        fooled = _search(model, points, constant, settings, best, nearest)
        high = torch.where(fooled, torch.minimum(high, constant), high)
        low = torch.where(fooled, low, torch.maximum(low, constant))
        constant = torch.where(high.isfinite(), (low + high) / 2, constant * 10)
    return best


def _search(model, points, constant, settings, best, nearest):
    """Minimise distance plus constant times margin with Adam in tanh space, stopping when the loss stops falling."""
    centre = torch.atanh((2 * points.images - 1) * _INSIDE)
    change = torch.zeros_like(centre, requires_grad=True)
    adam = torch.optim.Adam([change], lr=settings["rate"])
    fooled = torch.zeros_like(points.labels, dtype=torch.bool)
    last, patience = torch.inf, max(settings["steps"] // 10, 1)
    for step in range(settings["steps"]):
        images = (torch.tanh(centre + change) / _INSIDE + 1).mul(0.5).clamp(0, 1)
        logits = model(images)
        own = logits.gather(1, points.labels[:, None])[:, 0]
        other = logits.scatter(1, points.labels[:, None], -torch.inf).amax(dim=1)
        square = (images - points.images).square().flatten(1).sum(dim=1)
        loss = (constant * (own - other).clamp_min(0) + square).sum()
        hit = logits.detach().argmax(dim=1) != points.labels
        nearer = hit & (square.detach().sqrt() < nearest)
        best[nearer], nearest[nearer] = images.detach()[nearer], square.detach().sqrt()[nearer]
        fooled |= hit
        if step % patience == 0:
            if float(loss.detach()) > 0.9999 * last:
                break
            last = float(loss.detach())
        adam.zero_grad()
        (change.grad,) = torch.autograd.grad(loss, change)
        adam.step()
    return fooled


CARLINI_WAGNER = Attack(
    name="carlini-wagner",
    propose=propose,
    rounds=lambda settings, threat, classes: (
        Round(
            0,
            float(threat.epsilon),
            Passes(settings["searches"] * settings["steps"], settings["searches"] * settings["steps"]),
        ),
    ),
    norms=frozenset({Norm.L2}),
    kind=Kind.MINIMUM_NORM,
    access=Access.WHITE_BOX,
    settings={key: key for key in SEED_SETTINGS},
    source="Carlini & Wagner 2017, arXiv:1608.04644",
)

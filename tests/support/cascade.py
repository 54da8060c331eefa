"""AutoAttack standard, run by our harness and by the package's own driver."""

from typing import NamedTuple

import torch

from bench.attacks.attack import ATTACKS
from bench.evaluation.cascade import Cascade, Tally, Target
from bench.evaluation.pool import Pool
from bench.threats import ThreatModel


class Ran(NamedTuple):
    """What became of the points, and the tally of each attack."""

    standing: torch.Tensor
    tallies: list[Tally]


def harness(real, threat: ThreatModel, settings, *, engine=ATTACKS.__getitem__, batch=250, seed=0):
    """Return which points stand, and what each attack did."""
    model, images, labels = real
    with torch.no_grad():
        logits = model(images)
    pool = Pool(images, logits.argmax(dim=1) == labels, [threat])
    cascade = Cascade(Target(model, images, labels, torch.arange(len(labels)), logits), pool, seed, batch)
    tallies = [cascade.run(engine(name), threat, budget) for name, budget in settings.items()]
    return Ran(pool.standing(threat.norm, float(threat.epsilon)), tallies)


def package(real, threat: ThreatModel, *, batch=250, seed=0):
    """Run AutoAttack's driver, as its users do, and tell which points stand."""
    from pyautoattack import AutoAttack

    model, images, labels = real
    model.requires_grad_(requires_grad=True)
    attack = AutoAttack(model, norm=str(threat.norm), eps=float(threat.epsilon), seed=seed, device="cpu")
    found, _ = attack.run_standard_evaluation(images, labels, batch_size=batch)
    with torch.no_grad():
        return model(found).argmax(dim=1) == labels

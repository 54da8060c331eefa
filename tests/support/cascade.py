"""AutoAttack standard, run by our harness and by the package's own driver."""

import torch

from bench.attacks.attack import ATTACKS
from bench.evaluation.cascade import Cascade, Target
from bench.evaluation.pool import Pool
from bench.threats import ThreatModel


def harness(real, threat: ThreatModel, settings, *, engine=ATTACKS.__getitem__, batch=250, seed=0):
    """Return the cascade after its last attack; its pool knows which points stand."""
    model, images, labels = real
    with torch.no_grad():
        logits = model(images)
    pool = Pool(images, logits.argmax(dim=1) == labels, [threat])
    cascade = Cascade(Target(model, images, labels, torch.arange(len(labels)), logits), pool, seed, batch)
    for name, budget in settings.items():
        cascade.run(engine(name), threat, budget)
    return cascade


def standing(cascade, threat: ThreatModel):
    """Tell which points stand."""
    return cascade.pool.standing(threat.norm, float(threat.epsilon))


def package(real, threat: ThreatModel, *, batch=250, seed=0):
    """Run AutoAttack's driver, as its users do, and tell which points stand."""
    from pyautoattack import AutoAttack

    model, images, labels = real
    model.requires_grad_(requires_grad=True)
    attack = AutoAttack(model, norm=str(threat.norm), eps=float(threat.epsilon), seed=seed, device="cpu")
    found, _ = attack.run_standard_evaluation(images, labels, batch_size=batch)
    with torch.no_grad():
        return model(found).argmax(dim=1) == labels

"""AutoAttack standard, run by our harness and by the package's own driver."""

import hashlib
import json
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import torch

from bench.attacks.attack import ATTACKS
from bench.evaluation.judge.pool import Pool
from bench.evaluation.search.cascade import Cascade, Tally, Target
from bench.models.source import state_digest
from bench.threats import ThreatModel


class Ran(NamedTuple):
    """What became of the points, and the tally of each attack."""

    standing: torch.Tensor
    tallies: list[Tally]


def harness(real, threat: ThreatModel, settings, *, engine=ATTACKS.__getitem__, batch=250, seed=0, order=None):
    """Return which points stand, in the order given, and what each attack did; ``order`` is that of the attacks."""
    model, images, labels = real
    ids = torch.arange(len(labels), device=labels.device) if order is None else order
    images, labels = images[ids] if order is not None else images, labels[ids]
    with torch.no_grad():
        logits = model(images)
    pool = Pool(images, logits.argmax(dim=1) == labels, [threat])
    target = Target(model, images, labels, ids, logits)
    cascade = Cascade(target, pool, seed, batch)
    tallies = [cascade.run(engine(name), threat, budget) for name, budget in settings.items()]
    return Ran(pool.standing(threat.norm, float(threat.epsilon))[ids.argsort()], tallies)


def package(real, threat: ThreatModel, *, batch=250, seed=0):
    """Run AutoAttack's driver, as its users do, and tell which points stand."""
    from pyautoattack import AutoAttack

    model, images, labels = real
    model.requires_grad_(requires_grad=True)
    attack = AutoAttack(model, norm=str(threat.norm), eps=float(threat.epsilon), seed=seed, device=str(images.device))
    found, _ = attack.run_standard_evaluation(images, labels, batch_size=batch)
    with torch.no_grad():
        return model(found).argmax(dim=1) == labels


def remembered(folder, real, threat: ThreatModel):
    """Return what the package leaves standing, from a folder of earlier answers if one is given.

    An answer is known by the package's version, torch's, the weights, the images and the threat model.
    """
    if not folder:
        return package(real, threat)
    model, images, labels = real
    key = [metadata.version("pyautoattack"), torch.__version__, state_digest(model), str(threat), labels.tolist()]
    key.append(hashlib.sha256(images.numpy().tobytes()).hexdigest())
    path = Path(folder) / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:24]}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(package(real, threat).tolist()), encoding="utf-8")
    return torch.tensor(json.loads(path.read_text("utf-8")))

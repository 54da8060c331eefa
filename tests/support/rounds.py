"""Runs any attack as the harness does: round by round, metered, on the points that its rounds still concern."""

from typing import NamedTuple

import torch

from bench.attacks.attack import ATTACKS, Kind, Passes, Points
from bench.attacks.draws import Draws
from bench.evaluation.judge.distances import ceiling
from bench.evaluation.judge.verify import verify
from bench.evaluation.search.meter import Meter
from bench.threats import ThreatModel, surface

SETTINGS = {
    "steps": 20,
    "targets": 9,
    "queries": 100,
    "p_init": 0.8,
    "grid": (1, 2, 4),
    "eliminate": 20,
    "iterations": 10,
    "alpha_init": 0.3,
    "pixels": 4,
    "first": 64,
    "others": 56,
    "beams": 4,
    "branch": 8,
}
"""Small values for every setting that an attack of the benchmark has."""

ALONE = {"corners": {"queries": 3 * 8 * 8 * 2**3}}
"""Values that one attack needs to differ: corners enumerates every colour of every pixel or refuses."""

RADII = {"Linf": "1/20", "L2": "1/2", "L0": "2"}


def threat_of(norm, epsilon=None):
    return ThreatModel.parse(str(norm), epsilon or RADII[str(norm)])


def settings_of(attack):
    return {key: ALONE.get(attack.name, SETTINGS).get(key, SETTINGS[key]) for key in attack.settings}


class Found(NamedTuple):
    """What one attack left behind."""

    candidates: torch.Tensor
    """The nearest accepted image of each point; the clean one where there is none."""
    distance: torch.Tensor
    """Its verified distance; infinite where there is none."""
    forwards: int
    backwards: int


def run(attack, model, images, labels, threat, *, settings=None, ids=None, batch=1000, seed=0):
    """Run all rounds of one attack on points that the model gets right; every broken contract raises."""
    attack = ATTACKS[attack] if isinstance(attack, str) else attack
    settings = settings_of(attack) if settings is None else settings
    ids = torch.arange(len(labels)) if ids is None else ids
    logits = model(images).detach()
    best, distance = images.clone(), torch.full((len(labels),), torch.inf)
    forwards = backwards = 0
    for turn in attack.rounds(settings, threat, logits.shape[1]):
        for rows in (distance > surface(threat.norm, turn.radius)).nonzero().flatten().split(batch):
            limit = Passes(turn.passes.forwards * len(rows), turn.passes.backwards * len(rows))
            meter = Meter(model, logits.shape[1], limit)
            points = Points(images[rows], labels[rows], ids[rows], logits[rows], distance[rows])
            found = attack.propose(meter, points, threat, settings, Draws(seed, attack.name, turn.index))
            verdict = verify(model, images[rows], found, labels[rows], threat)
            accepted = verdict.fooled & (verdict.inside if attack.kind is Kind.FIXED_BUDGET else verdict.fooled)
            size = verdict.distances[threat.norm]
            nearer = accepted & (size < distance[rows])
            distance[rows] = torch.where(nearer, size, distance[rows])
            best[rows[nearer]] = found[nearer]
            forwards += meter.forwards
            backwards += meter.backwards
    return Found(best, distance, forwards, backwards)


def standing(found, threat):
    """Tell which points an attack left standing."""
    return found.distance > ceiling(threat)

"""Runs attacks round by round under a meter, with the distances measured from the images."""

from fractions import Fraction
from typing import NamedTuple

import torch

from bench.attacks.attack import ATTACKS, Passes, Points
from bench.attacks.draws import Draws
from bench.evaluation.search.meter import Meter
from bench.threats import Norm, ThreatModel

THREAT = ThreatModel(Norm.L0, Fraction(2))


class Outcome(NamedTuple):
    """What attacks left behind."""

    distance: torch.Tensor
    """Fewest changed pixels that fool the model."""
    images: torch.Tensor
    """The images that show it; clean where none was found."""
    forwards: int
    backwards: int


def run(model, images, labels, attacks, *, ids=None, distance=None, batch=1000, seed=0):
    """Run {name: settings} in order on the points that stand, as the harness does; images are judged afresh."""
    ids = torch.arange(len(labels)) if ids is None else ids
    logits = model(images).detach()
    known = torch.full((len(labels),), torch.inf) if distance is None else distance.clone()
    best, forwards, backwards = images.clone(), 0, 0
    for name, settings in attacks.items():
        attack = ATTACKS[name]
        for turn in attack.rounds(settings, THREAT, logits.shape[1]):
            for rows in (known > turn.radius).nonzero().flatten().split(batch):
                if not len(rows):
                    continue
                limit = Passes(turn.passes.forwards * len(rows), turn.passes.backwards * len(rows))
                meter = Meter(model, logits.shape[1], limit)
                points = Points(images[rows], labels[rows], ids[rows], logits[rows], known[rows])
                found = attack.propose(meter, points, THREAT, settings, Draws(seed, name, turn.index))
                assert found.shape == points.images.shape
                assert bool(((found >= 0) & (found <= 1)).all())
                size = (found != images[rows]).any(dim=1).flatten(1).sum(dim=1).float()
                better = (model(found).argmax(dim=1) != labels[rows]) & (size < known[rows])
                known[rows] = torch.where(better, size, known[rows])
                best[rows[better]] = found[better]
                forwards += meter.forwards
                backwards += meter.backwards
    return Outcome(known, best, forwards, backwards)

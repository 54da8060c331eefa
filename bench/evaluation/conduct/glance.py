"""A look at the clean answers of a pruned network, before anybody attacks it for hours."""

from dataclasses import dataclass

import torch

from bench.errors import BenchError, UsageError
from bench.evaluation.checks.check import Evidence
from bench.evaluation.checks.runner import foresee
from bench.evaluation.environment import exact_arithmetic
from bench.evaluation.plan.source import source_of
from bench.evaluation.search.meter import Meter, clean_logits
from bench.models.source import LoadedModel
from bench.protocol.load import Protocol
from bench.pruning.prune import Pruned
from bench.submission.schema import Flag

POINTS = 200
"""Looked at; enough to tell a network that guesses from one that does not."""
_BATCH = 50


@dataclass(frozen=True, slots=True)
class Glance:
    """What the first points of a protocol say.

    Attributes:
        before, now: points that the parent and the pruned network classify correctly.
        flags: the doubts of the check for collapse.
    """

    points: int
    before: int
    now: int
    flags: tuple[Flag, ...]

    def words(self) -> list[str]:
        """Return sentences for the one who pruned."""
        told = f"Of the first {self.points} points the parent classified {self.before} correctly, this one {self.now}."
        return [told, *(flag.says for flag in self.flags)]


def glance(protocol: Protocol, parent: LoadedModel, pruned: Pruned) -> Glance:
    """Classify the first points of a protocol by the parent and by the pruned network.

    Raises:
        BenchError: if the points are not at hand, or are none that the network takes.
    """
    source, data = source_of(protocol), protocol.data
    if (source.shape, len(source.classes)) != (parent.shape, parent.classes):
        raise UsageError(f"the points of {protocol.name} are none that {parent.ref} takes.")
    points = source.load(data.split, range(data.first, data.first + min(POINTS, data.points)))
    images, labels = points.images(), points.label_tensor()
    with torch.no_grad(), exact_arithmetic():
        before, now = (clean_logits(network, images, _BATCH) for network in (parent.classifier, pruned.network))
    evidence = Evidence(
        network=pruned.network,
        model=Meter(pruned.network, parent.classes),
        images=images,
        labels=labels,
        ids=points.id_tensor(),
        logits=now,
        seed=protocol.seed,
        parent=parent.classifier,
        parent_model=Meter(parent.classifier, parent.classes),
    )
    right = [int((logits.argmax(dim=1) == labels).sum()) for logits in (before, now)]
    return Glance(len(points), right[0], right[1], tuple(foresee(protocol, evidence)))


def seen(protocol: Protocol, parent: LoadedModel, pruned: Pruned) -> list[str]:
    """Return what a glance tells, or why there was none."""
    try:
        return glance(protocol, parent, pruned).words()
    except BenchError as error:
        return [f"Its clean accuracy was not looked at: {error}"]

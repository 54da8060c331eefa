"""Tells a network that still classifies from one that pruning has reduced to guessing."""

import math

from bench.protocol.load import Protocol
from bench.submission.schema import Flag, Level


def collapse(protocol: Protocol, points: int, correct: int, classes: int) -> list[Flag]:
    """Return a flag if the clean accuracy cannot be told from guessing.

    A constant classifier is never fooled, so its "robust accuracy" equals its clean accuracy at every radius; such a
    network is named collapsed and never ranked. The bar is the accuracy of guessing plus the protocol's number of
    binomial standard errors.
    """
    sigmas = protocol.checks["collapse"]["sigmas"]
    chance = 1 / classes
    bar = chance + sigmas * math.sqrt(chance * (1 - chance) / points)
    accuracy = correct / points
    if accuracy > bar:
        return []
    says = (
        f"Collapsed: {correct} of {points} points are classified correctly, which guessing among {classes} classes "
        "reaches too; whatever it survives is no robustness."
    )
    return [Flag(check="collapse", level=Level.WITHHOLD, figure=round(accuracy, 6), threshold=round(bar, 6), says=says)]

"""Where a curve is a loose bound: points that fell, with no image found nearer than the edge of the radius."""

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from bench.site.entries import Entry
from bench.threats import Norm, surface

_NEAR = 0.98
"""Of the radius: attacks that move to the surface end there, and what looks for small changes seldom does."""
_MOST = Fraction(1, 2)
"""Of the points that fell. On networks whose gradients lead inwards it is a few of a hundred."""
_FEWEST = 20
"""Points that fell, below which nothing is said."""


class Edge(NamedTuple):
    """Points that fell within the radius, and those of them for which nothing was found nearer than its edge."""

    broken: int
    found: int


def loose(entry: Entry, norm: Norm) -> Edge | None:
    """Return the counts where most points that fell were found at the edge alone; None where the curve is tighter.

    Under L0 it is None, for distances are whole numbers of pixels, and many truly lie at the last one.
    """
    if norm is Norm.L0:
        return None
    radius, distance = float(entry.protocol.threat(norm).epsilon), entry.folder.points.distance[norm]
    fell = (distance > 0) & (distance <= np.float32(surface(norm, radius)))
    edge = Edge(int(np.count_nonzero(fell)), int(np.count_nonzero(fell & (distance >= _NEAR * radius))))
    return edge if edge.broken >= _FEWEST and edge.found > _MOST * edge.broken else None

"""What checks make of the settings of an attack when they look at one radius."""

from fractions import Fraction

import pytest

from bench.evaluation.checks.probe import at_radius
from bench.threats import Norm, ThreatModel

LADDER = {"queries": 9, "grid": (2, 5, 20)}
GROWTH = {"pixels": 20, "beams": 4}


@pytest.mark.parametrize(
    ("norm", "radius", "settings", "expected"),
    [
        (Norm.L0, 5, LADDER, {"queries": 9, "grid": (5,)}),
        (Norm.L0, 1024, LADDER, {"queries": 9, "grid": (1024,)}),
        (Norm.L0, 5, GROWTH, {"pixels": 5, "beams": 4}),
        (Norm.L0, 1024, GROWTH, GROWTH),
        (Norm.LINF, 1, LADDER, LADDER),
    ],
)
def test_ladders_jump_to_the_radius_and_growth_stops_where_it_did(norm, radius, settings, expected):
    assert at_radius(settings, ThreatModel(norm, Fraction(radius))) == expected

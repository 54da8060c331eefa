"""Radii are exact or they are refused."""

from fractions import Fraction

import pytest

from bench.errors import UsageError
from bench.threats import Norm, ThreatModel, exact


def test_a_fraction_is_read_exactly():
    assert exact("8/255") == Fraction(8, 255)


@pytest.mark.parametrize("text", ["0.031", "8/0", "-1/2", "", "8 / 255", "1e-3", "8/255/2"])
def test_what_is_not_exact_is_refused(text):
    with pytest.raises(UsageError, match="not exact"):
        exact(text)


def test_a_ball_needs_a_radius():
    with pytest.raises(UsageError, match="positive"):
        ThreatModel.parse("Linf", "0")


def test_pixels_are_counted_in_whole_numbers():
    with pytest.raises(UsageError, match="whole number"):
        ThreatModel.parse("L0", "3/2")


def test_an_unknown_norm_is_named_with_the_known_ones():
    with pytest.raises(UsageError, match=r"'L1'.*Linf, L2, L0"):
        ThreatModel.parse("L1", "1")


def test_a_threat_model_reads_as_people_write_it():
    assert str(ThreatModel(Norm.LINF, Fraction(8, 255))) == "Linf 8/255"

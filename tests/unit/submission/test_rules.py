"""The rules of the board."""

from fractions import Fraction

import pytest

from bench.submission.rules import RULES, Rules, quantile


def test_the_rules_are_those_of_the_file():
    assert RULES.significance == Fraction(1, 20)
    assert RULES.bands == tuple(map(Fraction, ("1/2", "3/4", "9/10", "19/20", "99/100")))
    assert (RULES.kept_robust, RULES.kept_clean, RULES.again) == (Fraction(9, 10), Fraction(19, 20), Fraction(1, 200))


@pytest.mark.parametrize(
    ("significance", "bands"), [("0", ["1/2"]), ("1/20", ["3/4", "1/2"]), ("1/20", ["1/2", "1/2"]), ("1/20", ["1"])]
)
def test_rules_that_make_no_sense_are_refused(significance, bands):
    with pytest.raises(ValueError, match="rising bands"):
        Rules(Fraction(significance), tuple(map(Fraction, bands)), Fraction(9, 10), Fraction(19, 20), Fraction(1, 200))


def test_the_quantile_is_that_of_the_normal_distribution():
    assert quantile(0.05) == pytest.approx(1.959963984540054, abs=1e-12)


@pytest.mark.parametrize(("points", "room"), [(50, 1), (200, 1), (201, 2), (500, 3), (1000, 5), (10_000, 50)])
def test_another_run_may_have_half_a_percent_of_the_verdicts_otherwise(points, room):
    assert RULES.room(points) == room

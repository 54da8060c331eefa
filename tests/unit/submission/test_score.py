"""Counts into what readers see."""

from fractions import Fraction

import pytest
from statsmodels.stats.proportion import proportion_confint

from bench.submission.score import rate, retention, wilson


@pytest.mark.parametrize(
    ("count", "total"), [(0, 10), (0, 500), (500, 500), (1, 500), (153, 1000), (4471, 10000), (7512, 10000), (3, 7)]
)
def test_wilson_agrees_with_statsmodels(count, total):
    assert wilson(count, total) == pytest.approx(proportion_confint(count, total, method="wilson"), abs=1e-12)


def test_wilson_refuses_what_is_no_proportion():
    with pytest.raises(ValueError, match="no proportion"):
        wilson(6, 5)


def test_rates_are_exact_and_nothing_of_nothing_is_nothing():
    assert rate(1, 3) == Fraction(1, 3)
    assert rate(0, 0) == 0
    assert retention(33, 44) == Fraction(3, 4)
    assert retention(0, 0) is None

"""Counts into what readers compare."""

from fractions import Fraction

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as peer_mcnemar
from statsmodels.stats.proportion import proportion_confint

from bench.submission.score import Contender, Paired, Place, mcnemar, places, rate, retention, wilson


@pytest.mark.parametrize(("count", "total"), [(0, 500), (500, 500), (1, 500), (153, 1000), (7512, 10000), (3, 7)])
def test_wilson_agrees_with_statsmodels(count, total):
    assert wilson(count, total) == pytest.approx(proportion_confint(count, total, method="wilson"), abs=1e-12)


def test_wilson_refuses_what_is_no_proportion():
    with pytest.raises(ValueError, match="no proportion"):
        wilson(6, 5)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 5), (0, 6), (3, 9), (10, 10), (120, 90), (700, 601)])
def test_mcnemar_agrees_with_statsmodels_and_scipy(first, second):
    assert mcnemar(first, second) == pytest.approx(peer_mcnemar([[1, first], [second, 1]], exact=True).pvalue, rel=1e-9)
    if first + second:
        assert mcnemar(first, second) == pytest.approx(stats.binomtest(first, first + second).pvalue, rel=1e-9)


def test_five_to_nothing_is_not_enough_and_six_is():
    assert mcnemar(5, 0) == 2 / 2**5
    assert mcnemar(6, 0) == 2 / 2**6


def test_the_four_outcomes_are_counted():
    pair = Paired.of(np.array([1, 1, 0, 0, 1], bool), np.array([1, 0, 1, 0, 0], bool))
    assert (pair.both, pair.first, pair.second, pair.neither) == (1, 2, 1, 1)
    assert pair.difference == Fraction(1, 5)


def test_the_paired_interval_is_agresti_and_mins():
    pair = Paired(both=40, first=12, second=5, neither=43)
    middle = 7 / 102
    half = 1.959963984540054 * ((18 / 102 - middle**2) / 102) ** 0.5
    assert pair.interval == pytest.approx((middle - half, middle + half), abs=1e-12)


def test_entries_that_no_test_separates_share_a_rank():
    best = np.arange(100) < 60
    close = best.copy()
    close[:3] = False
    worse = np.arange(100) < 30
    ranks = places(["c", "b", "a"], _describe(best, close, worse))
    assert ranks == {"a": Place(1, tied=True), "b": Place(1, tied=True), "c": Place(3, tied=False)}
    assert [str(ranks[name]) for name in "abc"] == ["=1", "=1", "3"]


def _describe(best, close, worse):
    bits = {"a": best, "b": close, "c": worse}
    return lambda name: Contender(bits[name], 90, name)


def test_rates_are_exact_and_nothing_of_nothing_is_nothing():
    assert rate(1, 3) == Fraction(1, 3)
    assert rate(0, 0) == 0
    assert retention(3, 4) == Fraction(3, 4)
    assert retention(0, 0) is None

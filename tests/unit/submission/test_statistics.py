"""Series of results: against SciPy and statsmodels, and by hand."""

from fractions import Fraction

import numpy as np
import pytest
from scipy import integrate, stats
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar
from statsmodels.stats.proportion import proportion_confint

from bench.submission.score import mcnemar, retention, wilson
from bench.submission.statistics import area, compression, spread, sweet_spot


def bits(robust, of=200):
    """The first ``robust`` points stand."""
    return np.arange(of) < robust


@pytest.mark.parametrize(("count", "total"), [(0, 10), (3, 128), (45, 100), (500, 500), (4471, 10000)])
def test_wilson_is_statsmodels(count, total):
    assert tuple(wilson(count, total)) == pytest.approx(proportion_confint(count, total, method="wilson"), abs=1e-12)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (1, 0), (6, 0), (12, 30), (25, 25), (400, 460)])
def test_mcnemar_is_exact(first, second):
    reference = reference_mcnemar([[10, first], [second, 10]], exact=True).pvalue
    assert mcnemar(first, second) == pytest.approx(reference, abs=1e-12)
    if first + second:
        assert mcnemar(first, second) == pytest.approx(stats.binomtest(first, first + second).pvalue, abs=1e-12)


def test_retention_is_an_exact_share_of_the_parent():
    assert retention(33, 44) == Fraction(3, 4)
    assert retention(0, 0) is None


@pytest.mark.parametrize("counts", [[210, 240], [401, 388, 390], [10, 12, 9, 30, 11], list(range(100, 120))])
def test_spread_over_seeds_is_scipys(counts):
    found = spread(counts, 500)
    shares = np.array(counts) / 500
    assert float(found.mean) == pytest.approx(shares.mean())
    assert found.deviation == pytest.approx(shares.std(ddof=1))
    low, high = stats.t.interval(0.95, len(counts) - 1, loc=shares.mean(), scale=stats.sem(shares))
    assert found.interval is not None
    assert tuple(found.interval) == pytest.approx((max(low, 0), min(high, 1)), abs=1e-6)
    assert (found.least, found.most) == (Fraction(min(counts), 500), Fraction(max(counts), 500))


def test_a_single_seed_has_no_spread():
    found = spread([250], 500)
    assert (found.mean, found.deviation, found.interval) == (Fraction(1, 2), None, None)


@pytest.mark.parametrize("counts", [[], [501], [1] * 21])
def test_what_is_no_series_of_seeds_is_refused(counts):
    with pytest.raises(ValueError, match="seeds"):
        spread(counts, 500)


def test_the_sweet_spot_is_the_last_before_a_significant_loss():
    children = {Fraction(2): bits(104), Fraction(4): bits(97), Fraction(8): bits(94), Fraction(16): bits(60)}
    found = sweet_spot(bits(100), children)
    # five lost and none won gives p = 0.0625; six lost gives 0.03125
    assert found.compression == 4
    assert found.paired is not None
    assert (found.paired.first, found.paired.second) == (3, 0)


@pytest.mark.parametrize("seed", range(8))
def test_the_sweet_spot_is_where_statsmodels_last_finds_no_significant_loss(seed):
    drawn = np.random.default_rng(seed)
    parent = drawn.random(200) < 0.6
    children = {Fraction(2**power): parent ^ (drawn.random(200) < 0.03 * power) for power in range(1, 7)}
    expected = Fraction(1)
    for rate in sorted(children):
        child = children[rate]
        lost, won = int((parent & ~child).sum()), int((~parent & child).sum())
        table = [[int((parent & child).sum()), lost], [won, int((~parent & ~child).sum())]]
        if lost > won and reference_mcnemar(table, exact=True).pvalue < 0.05:
            break
        expected = rate
    assert sweet_spot(parent, children).compression == expected


def test_retention_is_the_ratio_of_scipys_binomial_estimates():
    kept, of = 33, 44
    assert float(retention(kept, of)) == pytest.approx(stats.binomtest(kept, of).statistic)


def test_five_lost_points_are_not_significant_and_six_are():
    assert sweet_spot(bits(100), {Fraction(2): bits(95)}).compression == 2
    assert sweet_spot(bits(100), {Fraction(2): bits(94)}).compression == 1


def test_a_lucky_network_beyond_a_loss_is_no_sweet_spot():
    assert sweet_spot(bits(100), {Fraction(2): bits(50), Fraction(4): bits(120)}).compression == 1


def test_losses_are_paired_point_by_point():
    """Equal counts on disjoint points are no loss; the pairs cancel."""
    assert sweet_spot(bits(100), {Fraction(2): ~bits(100)}).compression == 2


def test_the_parent_is_not_its_own_child():
    with pytest.raises(ValueError, match="above 1"):
        sweet_spot(bits(10), {Fraction(1): bits(10)})


def test_compression_is_one_over_density():
    assert compression(Fraction(1, 64)) == 64
    with pytest.raises(ValueError, match="density"):
        compression(Fraction(0))


def test_the_area_is_scipys_trapezoid_over_the_width():
    robust = {Fraction(2) ** power: Fraction(value, 100) for power, value in enumerate([56, 58, 58, 54, 44, 39, 32])}
    expected = integrate.trapezoid([float(value) for value in robust.values()], dx=1) / 6
    assert area(robust) == pytest.approx(expected)


def test_a_flat_series_has_its_own_height_as_area():
    flat = dict.fromkeys([Fraction(1), Fraction(10), Fraction(100)], Fraction(2, 5))
    assert area(flat) == pytest.approx(0.4)
    assert area({Fraction(1): Fraction(1)}) is None

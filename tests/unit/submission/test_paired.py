"""Two results over the same points: the tests against other implementations, the intervals against their promise."""

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar as peer_mcnemar

from bench.submission.paired import Paired, _kept_score, _score, enough, keeps, kept, kept_p_value, mcnemar
from bench.submission.rules import RULES, SIGNIFICANCE, quantile

TABLES = [(43, 0, 1, 0), (40, 12, 5, 43), (7, 30, 3, 60), (250, 9, 21, 220), (12, 4, 25, 8), (3, 11, 17, 2)]


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


@pytest.mark.parametrize("table", [*TABLES, (0, 0, 0, 9), (0, 3, 0, 6), (0, 0, 3, 6), (9, 0, 0, 0)])
@pytest.mark.parametrize("least", [Fraction(1, 10), Fraction(9, 10), Fraction(19, 20), Fraction(1), Fraction(3, 2)])
def test_what_is_kept_is_told_as_its_interval_tells_it(table, least):
    pair = Paired(*table)
    ends = kept(pair)
    assert keeps(pair, least) is (True if ends.low > least else False if ends.high < least else None)


def most_likely(table, constraint):
    """Maximise the likelihood of the four shares under a constraint, by brute optimisation."""
    found = [
        optimize.minimize(
            lambda shares: (
                -sum(count * math.log(max(share, 1e-300)) for count, share in zip(table, shares, strict=True))
            ),
            np.random.default_rng(start).dirichlet(np.ones(4)),
            method="SLSQP",
            bounds=[(1e-12, 1)] * 4,
            constraints=[
                {"type": "eq", "fun": lambda shares: shares.sum() - 1},
                {"type": "eq", "fun": constraint},
            ],
            options={"maxiter": 1000, "ftol": 1e-15},
        )
        for start in range(5)
    ]
    return min((one for one in found if one.success), key=lambda one: one.fun).x


@pytest.mark.parametrize("table", TABLES[1:])
@pytest.mark.parametrize("difference", [-0.3, -0.04, 0.02, 0.25])
def test_the_score_of_a_difference_is_the_one_of_the_most_likely_shares(table, difference):
    shares = most_likely(table, lambda shares: shares[1] - shares[2] - difference)
    total = sum(table)
    variance = total * (shares[1] + shares[2] - difference**2)
    expected = (table[1] - table[2] - total * difference) / math.sqrt(variance)
    assert _score(table[1], table[2], total, difference) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("table", TABLES[1:])
@pytest.mark.parametrize("ratio", [0.5, 0.9, 1.02, 1.7])
def test_the_score_of_a_ratio_is_the_one_of_the_most_likely_shares(table, ratio):
    shares = most_likely(table, lambda shares: shares[0] + shares[1] - ratio * (shares[0] + shares[2]))
    variance = sum(table) * (shares[0] * (1 - ratio) ** 2 + shares[1] + shares[2] * ratio**2)
    expected = (table[0] + table[1] - ratio * (table[0] + table[2])) / math.sqrt(variance)
    assert _kept_score(Paired(*table), ratio) == pytest.approx(expected, abs=1e-3)


def test_the_interval_leaves_out_zero_exactly_where_the_exact_test_rejects():
    total, seen = 400, set()
    for first in (*range(12), *range(12, 90, 7)):
        for second in (*range(12), *range(13, 90, 7)):
            pair = Paired(100, first, second, total - 100 - first - second)
            low, high = pair.interval
            assert low <= float(pair.difference) <= high
            assert (pair.p_value < SIGNIFICANCE) == (not low <= 0 <= high)
            assert pair.verdict == ("better" if low > 0 else "worse" if high < 0 else "not separated")
            seen.add(pair.verdict)
    assert len(seen) == 3


def test_where_the_exact_test_rejects_the_score_test_does_so_too():
    """Otherwise the interval could hold zero though p is small: for any number of points it may not."""
    totals = np.arange(6, 5000)
    fewer = stats.binom.ppf(SIGNIFICANCE / 2, totals, 0.5)
    fewer -= 2 * stats.binom.cdf(fewer, totals, 0.5) >= SIGNIFICANCE
    assert (2 * stats.binom.cdf(fewer, totals, 0.5) < SIGNIFICANCE).all()
    assert ((totals - 2 * fewer) ** 2 > quantile(SIGNIFICANCE) ** 2 * totals).all()


def outcomes(total):
    """Every pair of discordant counts of so many points."""
    return [(first, second) for first in range(total + 1) for second in range(total + 1 - first)]


@pytest.mark.parametrize("only_first", [0.02, 0.05, 0.15, 0.4])
@pytest.mark.parametrize("only_second", [0.02, 0.05, 0.15, 0.4])
def test_the_interval_of_a_difference_holds_it_in_95_of_100_cases(only_first, only_second):
    """Exactly: summed over every outcome of 60 points, not drawn."""
    total = 60
    truth = only_first - only_second
    shares = stats.multinomial(total, [only_first, only_second, 1 - only_first - only_second])
    covered = 0.0
    for first, second in outcomes(total):
        chance = shares.pmf([first, second, total - first - second])
        if chance > 1e-9:
            low, high = _interval(first, second, total)
            covered += chance * (low <= truth <= high)
    assert 0.94 < covered <= 1


_KNOWN = {}


def _interval(first, second, total):
    if (first, second) not in _KNOWN:
        _KNOWN[first, second] = Paired(0, first, second, total - first - second).interval
    return _KNOWN[first, second]


@pytest.mark.parametrize(
    ("both", "only_first", "only_second"),
    [(0.8, 0.01, 0.03), (0.5, 0.05, 0.05), (0.4, 0.02, 0.08), (0.1, 0.02, 0.02), (0.45, 0.0, 0.05), (0.3, 0.2, 0.1)],
)
def test_the_interval_of_what_is_kept_holds_it_in_95_of_100_cases(both, only_first, only_second):
    truth = (both + only_first) / (both + only_second)
    drawn = np.random.default_rng(1).multinomial(
        500, [both, only_first, only_second, 1 - both - only_first - only_second], 1500
    )
    bar = quantile(SIGNIFICANCE)
    inside = sum(abs(_kept_score(Paired(*map(int, row)), truth)) <= bar for row in drawn)
    # two standard errors of 1,500 draws are 1.1 points
    assert inside / len(drawn) > 0.935


@pytest.mark.parametrize("table", TABLES)
def test_the_interval_of_what_is_kept_holds_what_its_test_does_not_reject(table):
    pair, bar = Paired(*table), quantile(SIGNIFICANCE)
    low, high = kept(pair)
    for ratio in np.linspace(0.05, 3, 60).tolist():
        assert (low <= ratio <= high) == (abs(_kept_score(pair, ratio)) <= bar)


@pytest.mark.parametrize("table", [(0, 0, 5, 20), (0, 5, 0, 20), (5, 0, 0, 0), (1, 1, 1, 1), *TABLES])
def test_what_is_kept_turns_around_with_the_pair(table):
    pair = Paired(*table)
    low, high = kept(pair)
    back = kept(Paired(pair.both, pair.second, pair.first, pair.neither))
    assert low * back.high == pytest.approx(1) or (low == 0 and back.high == math.inf)
    assert high * back.low == pytest.approx(1) or (high == math.inf and back.low == 0)
    ours, theirs = pair.both + pair.first, pair.both + pair.second
    assert low <= (ours / theirs if theirs else math.inf) <= high


def test_of_nothing_nothing_is_known_to_be_kept():
    assert tuple(kept(Paired(0, 0, 0, 9))) == (0, math.inf)
    assert tuple(Paired(0, 0, 0, 0).interval) == (-1, 1)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("least", [Fraction(1, 2), Fraction(9, 10), Fraction(19, 20)])
def test_claim_and_interval_of_what_is_kept_agree(table, least):
    pair = Paired(*table)
    assert (kept_p_value(pair, least) < SIGNIFICANCE / 2) == (kept(pair).low > least)


@pytest.mark.parametrize("least", [Fraction(1, 2), RULES.kept_robust, RULES.kept_clean])
@pytest.mark.parametrize("significance", [SIGNIFICANCE, SIGNIFICANCE / 20])
def test_an_equal_network_is_shown_to_be_equal_from_so_many_points_on(least, significance):
    needed = enough(least, significance)
    assert kept(Paired(needed, 0, 0, 100), significance).low > least
    assert kept(Paired(needed - 1, 0, 0, 100), significance).low <= least

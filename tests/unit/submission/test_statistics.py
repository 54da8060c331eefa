"""Series of results: against SciPy, and by hand."""

from fractions import Fraction

import numpy as np
import pytest
from scipy import integrate, stats

from bench.submission.paired import Paired, enough, kept, kept_p_value
from bench.submission.rules import RULES, SIGNIFICANCE
from bench.submission.statistics import End, Holds, area, compression, spread, sweet_spot


def bits(robust, of=200):
    """The first ``robust`` points stand."""
    return np.arange(of) < robust


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


ALL = np.ones(500, bool)


def steps(*robust, correct=490):
    """Networks that hold the first points, and are right on so many."""
    return [Holds(bits(count, 500), bits(correct, 500)) for count in robust]


PARENT = Holds(bits(400, 500), bits(490, 500))


def test_the_sweet_spot_is_the_last_step_that_is_shown_to_keep_enough():
    found = sweet_spot(PARENT, steps(404, 390, 372, 368, 300))
    # of 400 points 372 are 93.0 %, at least 90.1; 368 are 92.0 %, at least 88.9
    assert (found.step, found.end) == (2, End.UNSHOWN)
    assert found.robust is not None
    assert (found.robust.first, found.robust.second) == (0, 28)
    assert kept(found.robust).low > RULES.kept_robust
    assert kept(Paired(368, 0, 32, 100)).low < RULES.kept_robust


def test_an_equal_network_is_a_sweet_spot():
    found = sweet_spot(PARENT, steps(400))
    assert (found.step, found.end) == (0, End.TOP)


def test_what_is_merely_not_told_apart_is_no_sweet_spot():
    """Twenty points won and thirty lost of fifty: no test at 5 % finds a loss, and none rules out a large one."""
    parent = Holds(bits(50, 500), ALL)
    child = bits(50, 500)
    child[:30], child[60:80] = False, True
    pair = Paired.of(child, parent.robust)
    assert pair.verdict == "not separated"
    assert sweet_spot(parent, [Holds(child, ALL)]).end is End.UNSHOWN


def test_robustness_without_accuracy_is_no_sweet_spot():
    """A network that keeps every robust point and loses 46 of 100 points of clean accuracy."""
    parent = Holds(bits(100, 500), bits(472, 500))
    found = sweet_spot(parent, [Holds(bits(110, 500), bits(242, 500))])
    assert (found.step, found.end) == (None, End.CLEAN)


def test_a_parent_with_five_robust_points_proves_nothing():
    parent = Holds(bits(5, 500), ALL)
    for robust in (0, 5, 100):
        assert sweet_spot(parent, [Holds(bits(robust, 500), ALL)]).end is End.UNTESTABLE
    enough_points = Holds(bits(enough(RULES.kept_robust), 500), ALL)
    assert sweet_spot(enough_points, [enough_points]).step == 0
    wrong = Holds(bits(72, 500), bits(72, 500))
    assert sweet_spot(wrong, [wrong]).end is End.UNTESTABLE


def test_a_sure_loss_is_told_before_a_doubtful_one():
    found = sweet_spot(PARENT, [Holds(bits(368, 500), bits(240, 500))])
    assert found.end is End.CLEAN
    assert sweet_spot(PARENT, [Holds(bits(100, 500), bits(240, 500))]).end is End.ROBUST


def test_a_lucky_network_beyond_a_loss_is_no_sweet_spot():
    assert sweet_spot(PARENT, steps(250, 420)).step is None


def test_losses_are_paired_point_by_point():
    """Equal counts on other points: the ratio is 1, and far from known."""
    moved = np.roll(PARENT.robust, 60)
    assert sweet_spot(PARENT, [Holds(moved, PARENT.correct)]).end is End.TOP
    few = Holds(bits(60, 500), ALL)
    assert sweet_spot(few, [Holds(np.roll(few.robust, 60), ALL)]).end is End.UNSHOWN


def test_many_claims_together_ask_for_more():
    assert sweet_spot(PARENT, steps(400, 374)).step == 1
    assert sweet_spot(PARENT, steps(400, 374), SIGNIFICANCE / 20).step == 0


def test_a_false_claim_is_as_rare_as_the_rules_say():
    """A network that keeps exactly nine tenths of what its parent holds is called a sweet spot in 2.5 of 100 cases."""
    drawn = np.random.default_rng(3)
    claimed = 0
    for _ in range(2000):
        point = drawn.random(500)
        parent, child = point < 0.8, (point > 0.1) & (point < 0.8) | (point > 0.98)
        claimed += kept_p_value(Paired.of(child, parent), RULES.kept_robust) < SIGNIFICANCE / 2
    assert claimed / 2000 < 0.035


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

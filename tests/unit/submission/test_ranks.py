"""Ranks as far as tests tell entries apart, and the bands in which they are given."""

from fractions import Fraction

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from bench.submission.paired import Paired
from bench.submission.ranks import Contender, Place, band, bounds, places
from bench.submission.rules import RULES, SIGNIFICANCE


def ranked(**standing):
    return places(list(standing), lambda name: Contender(standing[name], 90, name))


def test_entries_that_no_test_separates_may_hold_each_others_ranks():
    best = np.arange(100) < 60
    close = best.copy()
    close[:3] = False
    ranks = ranked(c=np.arange(100) < 30, b=close, a=best)
    assert ranks == {"a": Place(1, 1, 2), "b": Place(2, 1, 2), "c": Place(3, 3, 3)}
    assert [str(ranks[name]) for name in "abc"] == ["1–2", "1–2", "3"]


def test_one_entry_alone_is_first_and_none_is_no_rank():
    assert ranked(only=np.zeros(10, bool)) == {"only": Place(1, 1, 1)}
    assert ranked() == {}


def test_a_chain_is_told_apart_at_its_ends_alone():
    """Neighbours share ranks, the first and the last do not: a rank by groups cannot say that."""
    ranks = ranked(a=np.arange(100) < 60, b=np.arange(100) < 54, c=np.arange(100) < 48)
    assert [str(ranks[name]) for name in "abc"] == ["1–2", "1–3", "2–3"]


def test_every_pair_counts_in_the_correction():
    """Seven to none is p = 0.016: enough for two entries, not among the ten pairs of five."""
    first, second = np.arange(100) < 60, np.arange(100) < 53
    assert str(ranked(a=first, b=second)["b"]) == "2"
    others = {name: second ^ (np.arange(100) >= 99 - place) for place, name in enumerate("xyz")}
    assert ranked(a=first, b=second, **others)["b"].best == 1


@pytest.mark.parametrize("seed", range(5))
def test_the_correction_is_holms_as_statsmodels_has_it(seed):
    drawn = np.random.default_rng(seed)
    hardness = drawn.random(200)
    standing = [(hardness < drawn.random()) ^ (drawn.random(200) < 0.08) for _ in range(9)]
    pairs = [(one, two) for one in range(9) for two in range(one)]
    tests = [Paired.of(standing[one], standing[two]) for one, two in pairs]
    rejected = multipletests([test.p_value for test in tests], SIGNIFICANCE, method="holm")[0]
    above, below = np.zeros(9, int), np.zeros(9, int)
    for (one, two), test, told in zip(pairs, tests, rejected, strict=True):
        better, worse = (one, two) if test.first > test.second else (two, one)
        above[worse] += told
        below[better] += told
    ranks = places(range(9), lambda index: Contender(standing[index], 200, str(index)))
    assert {index: (place.best, place.worst) for index, place in ranks.items()} == {
        index: (1 + above[index], 9 - below[index]) for index in range(9)
    }
    assert 0 < rejected.sum() < len(pairs)


@pytest.mark.parametrize(
    ("share", "number"),
    [("0", 0), ("49/100", 0), ("4994/10000", 0), ("4996/10000", 1), ("1/2", 1), ("7499/10000", 2), ("3/4", 2),
     ("17467/19408", 3), ("899/1000", 2), ("9/10", 3), ("19/20", 4), ("989/1000", 4), ("99/100", 5), ("1", 5)],
)  # fmt: skip
def test_an_edge_lies_in_the_band_above_it_as_printed(share, number):
    assert band(Fraction(share)) == number


def test_bands_join_without_a_gap():
    edges = [bounds(number) for number in range(len(RULES.bands) + 1)]
    assert [low for low, _ in edges] == [0, *RULES.bands]
    assert [high for _, high in edges] == [*RULES.bands, 1]
    assert all(band(low) == number for number, (low, _) in enumerate(edges))

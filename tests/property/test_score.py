"""Laws of ranking that hold for any board."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.submission.score import Contender, Paired, mcnemar, places, wilson

POINTS = 24
boards = st.lists(st.integers(0, 2**POINTS - 1), min_size=1, max_size=7)


def _bits(number):
    return np.array([number >> index & 1 for index in range(POINTS)], dtype=bool)


def _ranks(numbers):
    bits = [_bits(number) for number in numbers]
    return places(range(len(bits)), lambda index: Contender(bits[index], POINTS, f"entry-{index}"))


@given(boards, st.randoms(use_true_random=False))
def test_the_order_of_the_files_changes_no_rank(numbers, random):
    bits = {f"entry-{index}": _bits(number) for index, number in enumerate(numbers)}
    names = list(bits)
    shuffled = names.copy()
    random.shuffle(shuffled)
    describe = lambda name: Contender(bits[name], POINTS, name)  # noqa: E731 - two calls, one rule
    assert places(names, describe) == places(shuffled, describe)


@settings(max_examples=300)
@given(boards, st.data())
def test_one_more_broken_point_never_improves_a_rank(numbers, data):
    entry = data.draw(st.integers(0, len(numbers) - 1))
    standing = [index for index in range(POINTS) if numbers[entry] >> index & 1]
    if not standing:
        return
    before = _ranks(numbers)[entry].rank
    numbers[entry] &= ~(1 << data.draw(st.sampled_from(standing)))
    assert _ranks(numbers)[entry].rank >= before


@given(boards)
def test_ranks_follow_the_robust_counts(numbers):
    ranks = _ranks(numbers)
    counts = [int(_bits(number).sum()) for number in numbers]
    ordered = sorted(ranks, key=lambda index: -counts[index])
    assert [ranks[index].rank for index in ordered] == sorted(place.rank for place in ranks.values())
    assert ranks[ordered[0]].rank == 1


@given(st.integers(0, 300), st.integers(0, 300))
def test_a_paired_test_has_no_side(first, second):
    assert mcnemar(first, second) == mcnemar(second, first)
    assert 0 < mcnemar(first, second) <= 1


@given(st.integers(0, 400), st.integers(1, 400))
def test_an_interval_holds_its_share(count, more):
    total = count + more
    low, high = wilson(count, total)
    assert 0 <= low <= count / total <= high <= 1


@given(st.integers(0, 2**POINTS - 1), st.integers(0, 2**POINTS - 1))
def test_paired_outcomes_add_up_and_turn_around(first, second):
    one, two = Paired.of(_bits(first), _bits(second)), Paired.of(_bits(second), _bits(first))
    assert one.total == POINTS
    assert (one.first, one.second) == (two.second, two.first)
    assert one.interval == (-two.interval.high, -two.interval.low)

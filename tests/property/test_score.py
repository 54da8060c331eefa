"""Laws of ranking that hold for any board."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.submission.paired import Paired, kept, mcnemar
from bench.submission.ranks import Contender, places
from bench.submission.score import wilson

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
def test_one_more_broken_point_never_improves_the_rank_by_count(numbers, data):
    entry = data.draw(st.integers(0, len(numbers) - 1))
    standing = [index for index in range(POINTS) if numbers[entry] >> index & 1]
    if not standing:
        return
    before = _ranks(numbers)[entry].rank
    numbers[entry] &= ~(1 << data.draw(st.sampled_from(standing)))
    assert _ranks(numbers)[entry].rank >= before


@settings(max_examples=300)
@given(boards, st.data())
def test_who_survives_all_that_another_survives_never_stands_behind(numbers, data):
    better = data.draw(st.sampled_from(numbers))
    numbers.append(better & data.draw(st.integers(0, 2**POINTS - 1)))
    ranks = _ranks(numbers)
    ahead, behind = ranks[numbers.index(better)], ranks[len(numbers) - 1]
    assert ahead.rank <= behind.rank
    assert ahead.best <= behind.best
    assert ahead.worst <= behind.worst


@given(boards)
def test_an_interval_of_ranks_lies_on_the_board_and_holds_the_rank_by_count(numbers):
    ranks = _ranks(numbers)
    assert all(1 <= place.best <= place.rank <= place.worst <= len(numbers) for place in ranks.values())
    assert min(place.best for place in ranks.values()) == 1
    assert max(place.worst for place in ranks.values()) == len(numbers)


@given(boards)
def test_ranks_follow_the_robust_counts(numbers):
    ranks = _ranks(numbers)
    counts = [int(_bits(number).sum()) for number in numbers]
    assert all(place.rank == 1 + sum(count > counts[index] for count in counts) for index, place in ranks.items())


@given(st.integers(0, 2**POINTS - 1), st.integers(0, 2**POINTS - 1))
def test_two_entries_are_told_apart_where_their_one_test_is(first, second):
    pair = Paired.of(_bits(first), _bits(second))
    one = _ranks([first, second])[0]
    assert str(one) == {"better": "1", "worse": "2", "not separated": "1–2"}[pair.verdict]


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


@given(st.integers(0, 2**POINTS - 1), st.integers(0, 2**POINTS - 1))
def test_interval_verdict_and_p_value_of_a_pair_never_disagree(first, second):
    pair = Paired.of(_bits(first), _bits(second))
    low, high = pair.interval
    assert -1 <= low <= float(pair.difference) <= high <= 1
    assert (low > 0, high < 0) == (pair.verdict == "better", pair.verdict == "worse")
    assert (pair.p_value < 0.05) == (pair.verdict != "not separated")


@given(st.integers(0, 2**POINTS - 1), st.integers(0, 2**POINTS - 1))
def test_what_is_kept_lies_in_its_interval(first, second):
    pair = Paired.of(_bits(first), _bits(second))
    low, high = kept(pair)
    ours, theirs = pair.both + pair.first, pair.both + pair.second
    assert 0 <= low <= high
    if theirs:
        assert low <= ours / theirs <= high

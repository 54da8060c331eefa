"""Every witness counts in every norm, and every broken point is booked once."""

from fractions import Fraction

import pytest
import torch

from bench.evaluation.judge.pool import Pool, total_broken
from bench.evaluation.judge.verify import verify
from bench.threats import Norm, ThreatModel

LINF = ThreatModel(Norm.LINF, Fraction(1, 10))
L2 = ThreatModel(Norm.L2, Fraction(1, 2))


def bright(images):
    mean = images.mean(dim=(1, 2, 3))
    return torch.stack([1 - mean, mean], dim=1)


@pytest.fixture
def originals():
    return torch.full((3, 1, 2, 2), 0.45)


@pytest.fixture
def pool(originals):
    return Pool(originals, torch.tensor([True, True, False]), [LINF, L2])


def offer(pool, originals, rows, lift, attack, threat):
    rows = torch.tensor(rows)
    candidates = originals[rows] + lift
    verdict = verify(bright, originals[rows], candidates, torch.zeros(len(rows), dtype=torch.int64), threat)
    pool.credit(rows, candidates, verdict, attack=attack, threat=threat)


def test_a_misclassified_point_lies_at_distance_zero(pool):
    assert pool.distance[Norm.LINF].tolist() == [float("inf"), float("inf"), 0.0]
    assert pool.counts(Norm.LINF, [0.0, 0.1]) == [2, 2]


def test_a_linf_witness_breaks_the_point_in_l2_too_and_is_lent_there(pool, originals):
    offer(pool, originals, [0], 0.09, "apgd-ce", LINF)
    assert pool.broken[Norm.LINF]["apgd-ce"].tolist() == [True, False, False]
    assert pool.standing(Norm.L2, 0.5).tolist() == [False, True, False]
    assert pool.withstanding(Norm.L2, 0.5).tolist() == [True, True, False], "its own cascade has yet to find it"
    assert pool.lent(L2).tolist() == [True, False, False]
    assert not pool.lent(LINF).any()
    assert not pool.broken[Norm.L2]
    assert pool.distance[Norm.L2][0] == pytest.approx(0.18, rel=1e-5)


def test_what_a_cascade_finds_for_itself_is_not_lent_any_more(pool, originals):
    offer(pool, originals, [0], 0.09, "apgd-ce", LINF)
    offer(pool, originals, [0], 0.2, "fab-t", L2)
    assert pool.broken[Norm.L2]["fab-t"].tolist() == [True, False, False]
    assert not pool.lent(L2).any()
    assert pool.distance[Norm.L2][0] == pytest.approx(0.18, rel=1e-5), "the nearer one stays"


def test_what_nobody_is_credited_with_counts_as_known_alone(pool, originals):
    rows, candidates = torch.tensor([0]), originals[:1] + 0.09
    verdict = verify(bright, originals[:1], candidates, torch.zeros(1, dtype=torch.int64), LINF)
    pool.absorb(rows, candidates, verdict)
    assert pool.lent(LINF).tolist() == [True, False, False]
    assert total_broken(pool.broken[Norm.LINF]) == 0


def test_a_point_is_booked_once_and_the_nearest_witness_is_kept(pool, originals):
    offer(pool, originals, [0, 1], 0.09, "apgd-ce", LINF)
    offer(pool, originals, [0], 0.06, "fab-t", LINF)
    assert total_broken(pool.broken[Norm.LINF]) == 2
    assert pool.broken[Norm.LINF]["fab-t"].sum() == 0
    assert pool.distance[Norm.LINF].tolist() == pytest.approx([0.06, 0.09, 0.0], rel=1e-5)
    torch.testing.assert_close(pool.witnesses(Norm.LINF, torch.tensor([0])), originals[:1] + 0.06)


def test_a_farther_witness_changes_nothing(pool, originals):
    offer(pool, originals, [0], 0.06, "apgd-ce", LINF)
    offer(pool, originals, [0], 0.2, "square", LINF)
    assert pool.distance[Norm.LINF][0] == pytest.approx(0.06, rel=1e-5)


def test_what_does_not_fool_is_no_witness(pool, originals):
    offer(pool, originals, [0], 0.01, "apgd-ce", LINF)
    assert pool.counts(Norm.LINF, [1.0]) == [2]

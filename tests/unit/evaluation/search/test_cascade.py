"""Attacks in order, each on the points that stand; what breaks its contract gives no number."""

import dataclasses
from fractions import Fraction

import pytest
import torch

from bench.attacks.attack import Access, Attack, Kind, Passes, Round
from bench.errors import BenchError, ContractError
from bench.evaluation.judge.pool import Pool
from bench.evaluation.search.cascade import Cascade, Target
from bench.evaluation.search.journal import Journal
from bench.threats import Norm, ThreatModel

LINF = ThreatModel(Norm.LINF, Fraction(1, 10))


def bright(images):
    mean = images.mean(dim=(1, 2, 3))
    return torch.stack([1 - mean, mean], dim=1)


def make(propose, *, rounds=1, kind=Kind.FIXED_BUDGET, name="lift", forwards=1):
    turns = tuple(Round(index, 0.1, Passes(forwards, 0)) for index in range(rounds))
    return Attack(name, propose, lambda *_: turns, frozenset({Norm.LINF}), kind, Access.BLACK_BOX, {}, "none")


def lift(model, points, threat, settings, draws):
    del threat, settings, draws
    model(points.images)
    return (points.images + 0.1).clamp(max=1)


@pytest.fixture
def cascade():
    """Three points at mean 0.45, 0.42 and 0.1, correct as dark; a lift of 0.1 breaks the first two."""
    images = torch.tensor([0.45, 0.42, 0.1]).view(3, 1, 1, 1).expand(3, 1, 2, 2).contiguous()
    logits = bright(images)
    target = Target(bright, images, torch.zeros(3, dtype=torch.int64), torch.tensor([7, 8, 9]), logits)
    pool = Pool(images, logits.argmax(dim=1) == 0, [LINF])
    return Cascade(target, pool, seed=0, batch=2)


def test_broken_points_leave_and_counts_add_up(cascade):
    seen = []

    def record(model, points, threat, settings, draws):
        seen.append(points.ids.tolist())
        return lift(model, points, threat, settings, draws)

    tally = cascade.run(make(record, rounds=2), LINF, {})
    assert seen == [[7, 8], [9], [9]]
    assert (tally.attempted, tally.rejected, tally.forwards) == (3, 0, 4)
    assert cascade.pool.broken[Norm.LINF]["lift"].tolist() == [True, True, False]


def test_outside_the_ball_is_rejected_and_breaks_nothing(cascade):
    tally = cascade.run(make(lambda _m, points, *_: (points.images + 0.45).clamp(max=1)), LINF, {})
    assert tally.rejected == 3
    assert cascade.pool.standing(Norm.LINF, 0.1).all()


def test_a_minimum_norm_attack_is_not_rejected_for_going_far(cascade):
    far = make(lambda _m, points, *_: (points.images + 0.45).clamp(max=1), kind=Kind.MINIMUM_NORM)
    assert cascade.run(far, LINF, {}).rejected == 0
    assert cascade.pool.counts(Norm.LINF, [0.1, 0.5]) == [3, 0]


def test_a_crash_is_no_robustness(cascade):
    def crash(*_):
        raise ValueError("nope")

    with pytest.raises(ContractError, match="lift crashed under Linf 1/10: ValueError: nope"):
        cascade.run(make(crash), LINF, {})


def test_a_wrong_shape_is_named(cascade):
    with pytest.raises(ContractError, match="returned shape"):
        cascade.run(make(lambda _m, points, *_: points.images[:, :, :1]), LINF, {})


def test_overspending_stops_the_run(cascade):
    def spend(model, points, *_):
        model(points.images)
        model(points.images)
        return points.images

    with pytest.raises(ContractError, match="budget"):
        cascade.run(make(spend), LINF, {})


def test_memory_that_runs_out_halves_the_batch(cascade):
    sizes = []

    def greedy(model, points, threat, settings, draws):
        sizes.append(len(points))
        if len(points) > 1:
            raise torch.OutOfMemoryError("full")
        return lift(model, points, threat, settings, draws)

    cascade.run(make(greedy), LINF, {})
    assert sizes == [2, 1, 1, 1]
    assert cascade.pool.broken[Norm.LINF]["lift"].sum() == 2


def test_memory_that_runs_out_with_one_point_says_what_to_do(cascade):
    def greedy(*_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    cascade.batch = 1
    with pytest.raises(BenchError, match="smaller --batch-size"):
        cascade.run(make(greedy), LINF, {})


def test_a_journal_replays_proposals_and_judges_them_again(cascade, tmp_path):
    cascade.journal = Journal.open(tmp_path / "j", {}, resume=True)
    first = cascade.run(make(lift), LINF, {})
    again = Cascade(cascade.target, Pool(cascade.target.images, cascade.pool.correct, [LINF]), 0, 2,
                    Journal.open(tmp_path / "j", {}, resume=True))  # fmt: skip

    def never(*_):
        raise AssertionError("finished work was done again")

    second = again.run(make(never), LINF, {})
    assert first == second
    assert torch.equal(again.pool.distance[Norm.LINF], cascade.pool.distance[Norm.LINF])


def test_no_correct_point_means_no_call(cascade):
    cascade.pool = Pool(cascade.target.images, torch.zeros(3, dtype=torch.bool), [LINF])

    def never(*_):
        raise AssertionError("nothing to attack")

    assert cascade.run(make(never), LINF, {}).attempted == 0


def test_rounds_side_by_side_give_what_they_give_one_after_another():
    """Same verdicts, same distances, same witnesses, whether a batch has room for several target classes or not."""
    from bench.attacks.attack import ATTACKS
    from bench.data.dataset import DATASETS
    from bench.models.source import ModelRef, load

    network = load(ModelRef.parse("embedded:digits-cnn-natural")).classifier
    data = DATASETS["digits"].load("test", range(30))
    images, labels = data.images(), data.label_tensor()
    logits = network(images)
    target = Target(network, images, labels, data.id_tensor(), logits)
    found = []
    for batch in (30, 512):
        pool = Pool(images, logits.argmax(dim=1) == labels, [LINF])
        runner = Cascade(target, pool, seed=0, batch=batch)
        for name in ("apgd-t", "fab-t"):
            runner.run(ATTACKS[name], LINF, {"steps": 12, "targets": 9})
        found.append(pool)
    one, many = found
    assert 0 < int(one.standing(Norm.LINF, 0.1).sum()) < int(one.correct.sum())
    torch.testing.assert_close(one.distance[Norm.LINF], many.distance[Norm.LINF], rtol=1e-5, atol=1e-7)
    assert {name: bits.tolist() for name, bits in one.broken[Norm.LINF].items()} == {
        name: bits.tolist() for name, bits in many.broken[Norm.LINF].items()
    }


def test_rounds_go_one_by_one_when_memory_has_no_room_for_several(cascade):
    sizes = []

    def greedy(model, points, threat, settings, draws):
        sizes.append(len(points))
        if len(points) > 1:
            raise torch.OutOfMemoryError("full")
        model(points.images)
        return points.images

    alike = dataclasses.replace(make(greedy, rounds=3), alike=True)
    cascade.pool = Pool(cascade.target.images, torch.tensor([True, False, False]), [LINF])
    cascade.run(alike, LINF, {})
    assert sizes == [1, 2, 1, 1]

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
from bench.evaluation.search.recall import Recall
from bench.submission.arrays import read_arrays
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


def remembering(cascade, folder, rows=(0, 1, 2), *, batch=2, whole=False):
    """Put a cascade with nothing broken over some of the points, and a journal behind it; return it."""
    target, rows = cascade.target, torch.tensor(rows)
    some = Target(bright, target.images[rows], target.labels[rows], target.ids[rows], target.logits[rows])
    journal = Journal.open(folder / "j", {}, resume=True)
    recall = Recall(journal, some.images, some.labels, some.ids, whole=whole)
    pool = Pool(some.images, torch.ones(len(rows), dtype=torch.bool), [LINF])
    return Cascade(some, pool, 0, batch, recall)


def never(*_):
    raise AssertionError("finished work was done again")


def watched(seen, **options):
    def record(model, points, threat, settings, draws):
        seen.append(points.ids.tolist())
        return lift(model, points, threat, settings, draws)

    return make(record, **options)


def test_a_journal_replays_proposals_and_judges_them_again(cascade, tmp_path):
    once = remembering(cascade, tmp_path)
    first = once.run(make(lift), LINF, {})
    again = remembering(cascade, tmp_path)
    assert again.run(make(never), LINF, {}) == first
    assert torch.equal(again.pool.distance[Norm.LINF], once.pool.distance[Norm.LINF])


def test_points_that_join_are_attacked_and_those_that_were_there_are_not(cascade, tmp_path):
    seen = []
    remembering(cascade, tmp_path, (0, 2)).run(watched(seen), LINF, {})
    more = remembering(cascade, tmp_path, (0, 1, 2), batch=3)
    tally = more.run(watched(seen), LINF, {})
    assert seen == [[7, 9], [8]]
    assert (tally.attempted, tally.forwards) == (3, 3)
    assert more.pool.broken[Norm.LINF]["lift"].tolist() == [True, True, False]
    fewer = remembering(cascade, tmp_path, (1,))
    fewer.run(make(never), LINF, {})
    assert fewer.pool.broken[Norm.LINF]["lift"].tolist() == [True]


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"steps": 2}},
        {"threat": ThreatModel(Norm.LINF, Fraction(2, 10))},
        {"name": "other"},
        {"label": 1},
        {"pixel": 0.449},
        {"id": 70},
    ],
    ids=str,
)
def test_a_proposal_for_anything_else_is_not_found(cascade, tmp_path, change):
    remembering(cascade, tmp_path, (0,)).run(make(lift), LINF, {"steps": 1})
    other = remembering(cascade, tmp_path, (0,))
    for recorded in (other.target, other.recall):
        recorded.labels.fill_(change.get("label", 0))
        recorded.ids.fill_(change.get("id", 7))
        recorded.images.fill_(change.get("pixel", 0.45))
    seen = []
    threat = change.get("threat", LINF)
    pool = Pool(other.target.images, other.pool.correct, [threat])
    attack = watched(seen, name=change.get("name", "lift"))
    dataclasses.replace(other, pool=pool).run(attack, threat, change.get("settings", {"steps": 1}))
    assert seen == [[change.get("id", 7)]]


def test_an_attack_that_looks_at_known_distances_is_asked_again_where_they_differ(cascade, tmp_path):
    seen = []
    looks = dataclasses.replace(watched(seen), looks_up_to=lambda _: 0.3)
    remembering(cascade, tmp_path).run(looks, LINF, {})
    farther, nearer = remembering(cascade, tmp_path), remembering(cascade, tmp_path)
    farther.pool.alone[Norm.LINF][:] = torch.tensor([0.4, torch.inf, 0.31])
    farther.run(dataclasses.replace(make(never), looks_up_to=looks.looks_up_to), LINF, {})
    nearer.pool.alone[Norm.LINF][:] = torch.tensor([0.4, torch.inf, 0.29])
    nearer.run(looks, LINF, {})
    assert seen == [[7, 8], [9], [9]]


def test_an_attack_sees_no_distance_that_it_does_not_say_it_looks_at(cascade):
    seen = []

    def record(model, points, *_):
        seen.append(points.distance.tolist())
        return points.images

    cascade.pool.alone[Norm.LINF][:] = torch.tensor([0.2, 0.5, torch.inf])
    cascade.batch = 3
    for reach in (None, lambda _: 0.3):
        cascade.run(dataclasses.replace(make(record, forwards=3), looks_up_to=reach), LINF, {})
    blind, looking = seen
    assert blind == [torch.inf] * 3
    assert looking == pytest.approx([0.2, torch.inf, torch.inf])


def test_rounds_that_ran_side_by_side_are_found_one_by_one_and_the_other_way_round(cascade, tmp_path):
    def still(seen):
        def record(model, points, *_):
            seen.append(points.ids.tolist())
            model(points.images)
            return points.images

        return dataclasses.replace(make(record, rounds=3), alike=True)

    wide, narrow = [], []
    together = remembering(cascade, tmp_path, (0, 1), batch=4).run(still(wide), LINF, {})
    alone = remembering(cascade, tmp_path, (0, 1), batch=1).run(still(narrow), LINF, {})
    assert (wide, narrow) == ([[7, 8], [7, 8, 7, 8]], [])
    assert together == alone
    remembering(cascade, tmp_path / "b", (2,), batch=1).run(still(narrow), LINF, {})
    remembering(cascade, tmp_path / "b", (1, 2), batch=8).run(still(wide), LINF, {})
    assert narrow == [[9], [9], [9]]
    assert wide[2:] == [[8], [8, 8]]


def test_a_damaged_batch_is_proposed_again_for_its_own_points_only(cascade, tmp_path):
    seen = []
    remembering(cascade, tmp_path).run(watched(seen), LINF, {})
    first = next(path for path in (tmp_path / "j").glob("*.npz") if len(read_arrays(path)["ids"]) == 2)
    first.write_bytes(b"")
    again = remembering(cascade, tmp_path)
    again.run(watched(seen), LINF, {})
    assert seen == [[7, 8], [9], [7, 8]]
    assert again.pool.broken[Norm.LINF]["lift"].tolist() == [True, True, False]


def test_where_a_proposal_hangs_on_its_batch_only_the_same_batch_is_found(cascade, tmp_path):
    seen = []
    remembering(cascade, tmp_path, whole=True).run(watched(seen), LINF, {})
    remembering(cascade, tmp_path, whole=True).run(make(never), LINF, {})
    remembering(cascade, tmp_path, batch=3, whole=True).run(watched(seen), LINF, {})
    assert seen == [[7, 8], [9], [7, 8, 9]]


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

import pytest
import torch

from bench.attacks.attack import ATTACKS, Passes
from bench.attacks.zoo import corners
from bench.errors import ContractError
from tests.support.sparse_oracle import LinearProblem, enumerated
from tests.support.sparse_run import THREAT, run


@pytest.mark.parametrize(("shape", "queries"), [((1, 8, 8), 128), ((3, 6, 5), 240)])
def test_exactly_the_points_that_one_pixel_can_break_are_broken(shape, queries):
    problem = LinearProblem(60, shape)
    found = run(problem, problem.images, problem.labels, {"corners": {"queries": queries}})
    assert torch.equal(found.distance == 1, problem.needed == 1)
    assert torch.equal(found.distance == 1, enumerated(problem, problem.images, problem.labels, most=1) == 1)
    assert 0 < int((found.distance == 1).sum()) < 60


def test_a_point_that_stands_costs_every_corner_once():
    images = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    tried = []

    def constant(x):
        tried.append(x)
        return torch.tensor([[1.0, 0.0]]).expand(len(x), -1)

    found = run(constant, images, torch.zeros(2, dtype=torch.int64), {"corners": {"queries": 160}})
    assert found.forwards == 2 * 160
    assert torch.equal(found.images, images)
    trials = torch.cat(tried[1:-1])  # the first and last calls are the runner's
    assert len({tuple(trial.flatten().tolist()) for trial in trials}) == 2 * 160


def test_the_first_corner_that_fools_is_taken_at_any_batch_size():
    problem = LinearProblem(12, (3, 8, 8))
    settings = {"corners": {"queries": 600}}
    whole = run(problem, problem.images, problem.labels, settings)
    assert bool(whole.distance.isfinite().any())
    for batch in (1, 7):
        assert torch.equal(run(problem, problem.images, problem.labels, settings, batch=batch).images, whole.images)
    order = torch.arange(11, -1, -1)
    last = problem.images[order].to(memory_format=torch.channels_last)
    assert torch.equal(run(problem, last, problem.labels[order], settings, ids=order).images, whole.images[order])


def test_an_image_with_more_corners_than_queries_is_refused():
    problem = LinearProblem(2, (3, 8, 8))
    with pytest.raises(ContractError, match="512 queries"):
        run(problem, problem.images, problem.labels, {"corners": {"queries": 511}})


def test_one_round_takes_part_beyond_one_pixel():
    (turn,) = ATTACKS["corners"].rounds({"queries": 138}, THREAT, 10)
    assert (turn.radius, turn.passes) == (1.0, Passes(138, 0))


def test_all_pairs_of_all_corners_are_exact_for_two_pixels():
    problem = LinearProblem(60, (1, 5, 6), scale=2.0)
    found = run(problem, problem.images, problem.labels, {"corners": {"queries": 60 + 60 * 59 // 2}}).distance
    assert torch.equal(found, torch.where(problem.needed <= 2, problem.needed, torch.inf))
    assert set(found.tolist()) == {1.0, 2.0, torch.inf}


def test_pairs_of_the_best_corners_lie_between_one_pixel_and_the_optimum():
    problem = LinearProblem(60, (3, 8, 8), scale=2.0)
    alone = run(problem, problem.images, problem.labels, {"corners": {"queries": 512}}).distance
    paired = run(problem, problem.images, problem.labels, {"corners": {"queries": 512 + 800}}).distance
    assert torch.equal(paired == 1, alone == 1)
    assert bool((paired >= problem.needed).all())
    assert (paired == 2).sum() >= 0.9 * (problem.needed == 2).sum() > 0


def test_points_known_at_two_pixels_are_not_tried_in_pairs():
    images = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    settings = {"corners": {"queries": 32 + 45}}

    def constant(x):
        return torch.tensor([[1.0, 0.0]]).expand(len(x), -1)

    labels = torch.zeros(2, dtype=torch.int64)
    spent = run(constant, images, labels, settings, distance=torch.tensor([2.0, 3.0])).forwards
    assert spent == 32 + (32 + 45)


def test_nan_logits_give_no_number():
    with pytest.raises(ContractError, match="NaN"):
        run(
            lambda x: torch.full((len(x), 2), torch.nan),
            torch.zeros(1, 1, 2, 2),
            torch.zeros(1, dtype=torch.int64),
            {"corners": {"queries": 8}},
        )


@pytest.mark.parametrize(("wanted", "ranks"), [(0, 9), (1, 9), (7, 9), (36, 9), (99, 9), (5000, 8192), (300, 30)])
def test_the_pairs_are_those_of_smallest_sum(wanted, ranks):
    pairs = corners._pairs(wanted, ranks)
    few = min(ranks, 200)
    everything = [(first, second) for second in range(few) for first in range(second)]
    assert len(set(pairs)) == len(pairs) == min(wanted, ranks * (ranks - 1) // 2)
    assert all(first < second < ranks for first, second in pairs)
    if pairs:
        left_out = set(everything) - set(pairs)
        assert max(map(sum, pairs)) <= min(map(sum, left_out), default=2 * ranks)

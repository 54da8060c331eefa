from collections import Counter

import pytest
import torch

from bench.attacks import pixels
from bench.attacks.attack import ATTACKS
from bench.attacks.zoo import sparse_rs
from bench.errors import ContractError
from tests.support.sparse_oracle import LinearProblem
from tests.support.sparse_run import THREAT, run

DIGITS = {"queries": 300, "grid": (1, 2, 3, 4, 6), "alpha_init": 0.3}
COLOUR = {"queries": 60, "grid": (1, 2, 5), "alpha_init": 0.3}
NAMES = ("sparse-rs", "sparse-rs-ce")


@pytest.mark.parametrize("name", NAMES)
def test_no_point_falls_below_the_optimum_of_a_linear_model_and_most_reach_it(name):
    problem = LinearProblem(60, (1, 8, 8))
    found = run(problem, problem.images, problem.labels, {name: DIGITS}).distance
    assert bool((found >= problem.needed).all())
    assert (found == problem.needed).float().mean() >= 0.9


@pytest.mark.parametrize("name", NAMES)
def test_every_changed_pixel_has_a_corner_colour_that_differs_from_the_clean_one(name):
    problem = LinearProblem(20, (3, 8, 8))
    found = run(problem, problem.images, problem.labels, {name: COLOUR})
    broken = found.distance.isfinite()
    assert bool(broken.any())
    changed = pixels.changed(problem.images, found.images)[:, None].expand(-1, 3, -1, -1)
    assert bool(torch.isin(found.images[changed], torch.tensor([0.0, 1.0])).all())
    assert set(found.distance[broken].tolist()) <= {1.0, 2.0, 5.0}


@pytest.mark.parametrize("name", NAMES)
def test_batch_size_order_and_memory_format_change_nothing(name):
    problem = LinearProblem(15, (3, 8, 8))
    whole = run(problem, problem.images, problem.labels, {name: COLOUR})
    for batch in (1, 7):
        part = run(problem, problem.images, problem.labels, {name: COLOUR}, batch=batch)
        assert torch.equal(part.images, whole.images)
    order = torch.randperm(15, generator=torch.Generator().manual_seed(0))
    shuffled = run(problem, problem.images[order], problem.labels[order], {name: COLOUR}, ids=order)
    assert torch.equal(shuffled.images, whole.images[order])
    last = problem.images.to(memory_format=torch.channels_last)
    assert torch.equal(run(problem, last, problem.labels, {name: COLOUR}).images, whole.images)


def test_only_rungs_below_the_known_distance_are_climbed():
    problem = LinearProblem(8, (1, 8, 8))
    settings = {"queries": 10, "grid": (1, 2, 3), "alpha_init": 0.3}

    def never(images):
        return torch.nn.functional.one_hot(problem.labels[:1].expand(len(images)), 10).float()

    labels = problem.labels[:1].expand(8)
    for known, rungs in ((torch.inf, 3), (3.0, 2), (2.0, 1), (1.0, 0)):
        spent = run(never, problem.images, labels, {"sparse-rs": settings}, distance=torch.full((8,), known))
        assert spent.forwards == 8 * 10 * rungs


def test_the_restart_runs_once_per_number_of_pixels():
    turns = ATTACKS["sparse-rs-ce"].rounds({"queries": 50, "grid": (2, 6), "alpha_init": 0.8}, THREAT, 10)
    assert [(turn.index, turn.radius, turn.passes.forwards, turn.passes.backwards) for turn in turns] == [
        (0, 2.0, 50, 0),
        (1, 6.0, 50, 0),
    ]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [15, 16, 40])
def test_all_pixels_break_every_model_that_listens(name, size):
    problem = LinearProblem(10, (1, 4, 4))
    settings = {"queries": 400, "grid": (size,), "alpha_init": 0.3}
    found = run(problem, problem.images, problem.labels, {name: settings}).distance
    assert bool(((found < torch.inf) == (problem.needed < torch.inf)).all())


def test_a_constant_classifier_is_left_with_clean_images():
    images = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    constant = torch.tensor([[1.0, 0.0]])
    found = run(lambda x: constant.expand(len(x), -1), images, torch.zeros(3, dtype=torch.int64), {"sparse-rs": DIGITS})
    assert torch.equal(found.images, images)
    assert found.forwards == 3 * 5 * 300


@pytest.mark.parametrize("name", NAMES)
def test_nan_logits_give_no_number(name):
    images, labels = torch.zeros(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64)
    with pytest.raises(ContractError, match="NaN"):
        run(lambda x: x.flatten(1)[:, :2] + torch.nan, images, labels, {name: COLOUR})


def test_the_share_of_moved_pixels_follows_the_published_schedule():
    stretches = list(sparse_rs._schedule(10_000, 100, 0.3))
    moved = {first + step: count for first, steps, count in stretches for step in range(steps)}
    assert sorted(moved) == list(range(1, 10_000))
    assert max(steps for _, steps, _ in stretches) <= 32
    assert [moved[query] for query in (1, 50, 51, 200, 201, 501, 1001, 2001, 4001, 6001, 8001)] == [
        15, 15, 7, 7, 6, 5, 3, 3, 2, 2, 1,
    ]  # fmt: skip


def test_sampled_slots_are_distinct_and_uniform():
    bits = torch.randint(2**62, (6000, 1, 3), generator=torch.Generator().manual_seed(0))
    chosen = sparse_rs._distinct(bits, 5)[:, 0]
    assert bool((chosen.sort(dim=1).values.diff(dim=1) > 0).all())
    seen = Counter(tuple(sorted(row)) for row in chosen.tolist())
    assert len(seen) == 10
    assert min(seen.values()) > 500
    assert max(seen.values()) < 700

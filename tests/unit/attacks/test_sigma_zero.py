import math

import pytest
import torch

from bench.attacks import pixels
from bench.attacks.attack import ATTACKS, Passes
from bench.attacks.zoo import sigma_zero
from bench.errors import ContractError
from tests.support.sparse_oracle import LinearProblem
from tests.support.sparse_run import THREAT, run

SETTINGS = {"steps": 100, "grid": (1, 2, 5), "eliminate": 1}


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 16, 16)])
def test_no_point_falls_below_the_optimum_of_a_linear_model_and_most_reach_it(shape):
    problem = LinearProblem(40, shape)
    found = run(problem, problem.images, problem.labels, {"sigma-zero": SETTINGS | {"steps": 400}}).distance
    assert bool((found >= problem.needed).all())
    assert (found == problem.needed).float().mean() >= 0.7


def test_elimination_only_ever_lowers_the_count():
    problem = LinearProblem(40, (1, 8, 8), scale=4.0)
    hasty = SETTINGS | {"steps": 10}
    raw = run(problem, problem.images, problem.labels, {"sigma-zero": hasty | {"eliminate": 0}})
    kept = run(problem, problem.images, problem.labels, {"sigma-zero": hasty | {"eliminate": 200}})
    assert bool((kept.distance <= raw.distance).all())
    assert bool((kept.distance < raw.distance).any())
    assert kept.backwards == raw.backwards


def test_a_point_leaves_once_it_is_down_to_the_smallest_number_of_the_grid():
    problem = LinearProblem(20, (1, 8, 8), scale=2.0)
    full = run(problem, problem.images, problem.labels, {"sigma-zero": SETTINGS})
    early = run(problem, problem.images, problem.labels, {"sigma-zero": SETTINGS | {"grid": (64,)}})
    assert early.forwards < full.forwards
    assert early.backwards == early.forwards


def test_the_passes_are_the_steps_and_what_elimination_may_spend():
    (turn,) = ATTACKS["sigma-zero"].rounds(SETTINGS, THREAT, 10)
    assert (turn.radius, turn.passes) == (1.0, Passes(200, 100))


def test_the_gradient_of_the_smooth_count_is_the_derivative():
    change = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 0.5
    change.requires_grad_()
    energy = change.square().sum(dim=1)
    value = (energy / (energy + 1e-3)).flatten(1).mean(dim=1).sum()
    (expected,) = torch.autograd.grad(value, change)
    torch.testing.assert_close(sigma_zero._sparsity(change.detach()), expected)


def test_the_learning_rate_falls_from_one_to_a_tenth():
    assert sigma_zero._rate(0, 10) == pytest.approx(1.0)
    assert sigma_zero._rate(5, 10) == pytest.approx(0.55)
    assert sigma_zero._rate(10, 10) == pytest.approx(0.1)


@pytest.mark.parametrize("batch", [1, 7])
def test_batch_size_changes_nothing_that_matters(batch):
    problem = LinearProblem(15, (3, 8, 8))
    whole = run(problem, problem.images, problem.labels, {"sigma-zero": SETTINGS})
    part = run(problem, problem.images, problem.labels, {"sigma-zero": SETTINGS}, batch=batch)
    assert torch.equal(part.distance, whole.distance)


def test_order_and_memory_format_change_nothing_that_matters():
    problem = LinearProblem(15, (3, 8, 8))
    whole = run(problem, problem.images, problem.labels, {"sigma-zero": SETTINGS})
    order = torch.randperm(15, generator=torch.Generator().manual_seed(0))
    shuffled = run(problem, problem.images[order], problem.labels[order], {"sigma-zero": SETTINGS}, ids=order)
    assert torch.equal(shuffled.distance, whole.distance[order])
    last = problem.images.to(memory_format=torch.channels_last)
    assert torch.equal(run(problem, last, problem.labels, {"sigma-zero": SETTINGS}).images, whole.images)


def test_untouched_pixels_stay_clean_to_the_last_bit():
    problem = LinearProblem(15, (3, 16, 16), scale=2.0)
    found = run(problem, problem.images, problem.labels, {"sigma-zero": SETTINGS})
    assert bool(found.distance.isfinite().any())
    apart = (found.images.double() - problem.images.double()).abs().amax(dim=1).flatten(1)
    assert torch.equal((apart > 1e-6).sum(dim=1), pixels.count(problem.images, found.images))


def test_a_constant_classifier_is_left_with_clean_images():
    images = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))

    def constant(x):
        return torch.tensor([[1.0, 0.0]]) + 0 * x.sum(dim=(1, 2, 3))[:, None]

    found = run(constant, images, torch.zeros(3, dtype=torch.int64), {"sigma-zero": SETTINGS})
    assert torch.equal(found.images, images)


def test_nan_logits_give_no_number():
    images, labels = torch.zeros(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64)
    with pytest.raises(ContractError, match="NaN"):
        run(lambda x: x.flatten(1)[:, :2] * math.nan, images, labels, {"sigma-zero": SETTINGS})

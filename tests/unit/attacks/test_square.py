from fractions import Fraction

import pytest
import torch

from bench.attacks.attack import ATTACKS, Points
from bench.attacks.draws import Draws
from bench.attacks.zoo.square import _pattern, _pyramid
from bench.threats import Norm, ThreatModel
from tests.support.linear import Constant, linear_problem
from tests.support.rounds import run

NORMS = [Norm.LINF, Norm.L2]
EPSILON = Fraction(1, 10)


def trials(norm, queries, shape=(3, 8, 8), points=3):
    """Return the start and every trial on a classifier that is never fooled, so that no trial is kept."""
    images = torch.full((points, *shape), 0.5)
    seen = []

    def recorded(batch):
        seen.append(batch.clone())
        return Constant()(batch)

    labels = torch.zeros(points, dtype=torch.long)
    far = torch.full((points,), torch.inf)
    ATTACKS["square"].propose(
        recorded,
        Points(images, labels, torch.arange(points), Constant()(images), far),
        ThreatModel(norm, EPSILON),
        {"queries": queries, "p_init": 0.8},
        Draws(0, "square", 0),
    )
    return seen


@pytest.mark.parametrize("norm", NORMS)
def test_a_robust_point_costs_the_start_and_every_query(norm):
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = torch.zeros(2, dtype=torch.long)
    settings = {"queries": 70, "p_init": 0.8}
    found = run("square", Constant(), images, labels, ThreatModel(norm, EPSILON), settings=settings)
    assert (found.forwards, found.backwards) == (2 * 71, 0)


def test_linf_starts_from_vertical_stripes_at_full_strength():
    start = trials(Norm.LINF, 1)[0] - 0.5
    torch.testing.assert_close(start.abs(), torch.full_like(start, 0.1), rtol=0, atol=1e-6)
    assert bool((start == start[:, :, :1]).all())


def test_a_linf_query_changes_one_square_to_one_sign_per_channel():
    start, *tried = trials(Norm.LINF, 40)
    for trial in tried:
        delta = trial - 0.5
        torch.testing.assert_close(delta.abs(), torch.full_like(delta, 0.1), rtol=0, atol=1e-6)
        for image, before in zip(trial, start, strict=True):
            rows, columns = (image != before).any(dim=0).nonzero().unbind(dim=1)
            if len(rows):
                window = image[:, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] - 0.5
                changed = (image != before)[:, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
                assert all(len(window[c][changed[c]].unique()) <= 1 for c in range(3))


def test_the_squares_shrink_as_the_schedule_says():
    """With 20 queries one query stands for 500 of the schedule's 10,000, so the share halves 3, 4, 5, 6 times."""
    sides = [round((0.8 / 2**halvings * 32 * 32) ** 0.5) for halvings in (0, 3, 4, 5, 5, 6, 6)]
    _, *tried = trials(Norm.LINF, 20, shape=(1, 32, 32), points=40)
    start = trials(Norm.LINF, 20, shape=(1, 32, 32), points=40)[0]
    for trial, side in zip(tried, sides, strict=False):
        changed = (trial != start).any(dim=1)
        tallest = int(changed.any(dim=2).sum(dim=1).max())
        assert tallest == side


def test_points_of_a_batch_draw_windows_of_their_own_and_reach_every_border():
    start, *tried = trials(Norm.LINF, 100, shape=(1, 8, 8), points=30)
    changed = torch.stack([(trial != start).any(dim=1) for trial in tried[50:]])
    assert bool(changed.any(dim=(0, 1)).all())
    assert not bool((changed == changed[:, :1]).all())


def test_every_l2_trial_has_the_full_length():
    for trial in trials(Norm.L2, 40):
        length = (trial - 0.5).flatten(1).norm(dim=1)
        torch.testing.assert_close(length, torch.full_like(length, 0.1), rtol=1e-4, atol=0)


def test_a_pyramid_is_made_of_nested_squares():
    torch.testing.assert_close(_pyramid(3, 3) / _pyramid(3, 3)[0, 0], torch.tensor([[1, 1, 1], [1, 5, 1], [1, 1, 1.0]]))


@pytest.mark.parametrize("side", [1, 2, 3, 5, 8])
def test_a_pattern_has_unit_length_and_halves_of_opposite_sign(side):
    pattern = _pattern(side)
    assert pattern.shape == (side, side)
    assert float(pattern.norm()) == pytest.approx(1)
    assert bool((pattern[: side // 2] > 0).all())
    assert bool((pattern[side // 2 :] < 0).all())


@pytest.mark.parametrize(("norm", "reach"), [(Norm.LINF, 2.0), (Norm.L2, 4.0)])
def test_breaks_linear_points_well_within_the_radius_and_none_beyond(norm, reach):
    model, images, labels = linear_problem(points=24)
    optimum = model.distance(images, labels, norm)
    threat = ThreatModel(norm, Fraction(round(float(optimum.median()) * 10**6), 10**6))
    found = run("square", model, images, labels, threat, settings={"queries": 1500, "p_init": 0.8})
    broken = found.distance.isfinite()
    assert bool(broken[optimum * reach < float(threat.epsilon)].all())
    assert not bool(broken[optimum > float(threat.epsilon)].any())


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", [(1, 3, 3), (3, 4, 9), (1, 28, 28)])
def test_takes_images_of_any_size(norm, shape):
    assert all(trial.shape == (3, *shape) for trial in trials(norm, 5, shape=shape))

"""Where the ball ends: one millionth of its radius within the slack counts, one beyond it does not."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from bench.evaluation.judge.distances import ceiling
from bench.evaluation.judge.pool import Pool
from bench.evaluation.judge.verify import verify
from bench.submission.points import PointTable
from bench.threats import Norm, ThreatModel, surface

BALLS = [
    ThreatModel(Norm.LINF, Fraction(8, 255)),
    ThreatModel(Norm.LINF, Fraction(1, 2)),
    ThreatModel(Norm.L2, Fraction(1, 2)),
    ThreatModel(Norm.L2, Fraction(9, 2)),
]
every_ball = pytest.mark.parametrize("ball", BALLS, ids=str)
ROOM = 1e-5


def fooled(images):
    return torch.tensor([[0.0, 1.0]]).expand(len(images), -1)


def moved(ball, share):
    """Return a grey image and one that lies ``share`` times the radius away."""
    clean = torch.full((1, 3, 8, 8), 0.25)
    step = float(ball.epsilon) * share / (192**0.5 if ball.norm is Norm.L2 else 1)
    return clean, clean + step


@every_ball
@pytest.mark.parametrize(
    ("share", "inside"), [(0.99, True), (1 - 1e-6, True), (1 + ROOM + 3e-6, False), (1 + 1e-4, False), (1.01, False)]
)
def test_the_judge_and_the_pool_end_the_ball_at_its_radius(ball, share, inside):
    clean, candidate = moved(ball, share)
    verdict = verify(fooled, clean, candidate, torch.zeros(1, dtype=torch.int64), ball)
    assert verdict.inside.tolist() == [inside]
    pool = Pool(clean, torch.tensor([True]), [ball])
    pool.credit(torch.tensor([0]), candidate, verdict, attack="a", threat=ball)
    assert pool.standing(ball.norm, float(ball.epsilon)).tolist() == [not inside]
    assert int(pool.broken[ball.norm]["a"].sum()) == inside


@every_ball
def test_the_file_of_points_ends_it_there_too(ball):
    sizes = np.array([0.99, 1, 1 + ROOM - 1e-6, 1 + ROOM + 3e-6, 1.0001, 1.01]) * float(ball.epsilon)
    numbers = np.arange(len(sizes))
    table = PointTable(numbers, numbers, numbers, {ball.norm: sizes.astype(np.float32)}, {})
    assert table.standing(ball.norm, ball.epsilon).tolist() == [False, False, False, True, True, True]


@every_ball
def test_the_slack_is_a_hundred_thousandth(ball):
    radius = float(ball.epsilon)
    assert ceiling(ball) == surface(ball.norm, radius) == pytest.approx(radius * (1 + ROOM), rel=1e-9)


@pytest.mark.parametrize("pixels", [1, 5, 20])
def test_pixels_are_counted_without_slack(pixels):
    ball = ThreatModel(Norm.L0, Fraction(pixels))
    assert ceiling(ball) == pixels
    clean = torch.full((1, 3, 8, 8), 0.25)
    for changed, inside in ((pixels, True), (pixels + 1, False)):
        candidate = clean.clone()
        candidate.view(1, 3, 64)[:, 0, :changed] = 0.3
        verdict = verify(fooled, clean, candidate, torch.zeros(1, dtype=torch.int64), ball)
        assert verdict.inside.tolist() == [inside]
        pool = Pool(clean, torch.tensor([True]), [ball])
        pool.credit(torch.tensor([0]), candidate, verdict, attack="a", threat=ball)
        assert pool.standing(Norm.L0, float(pixels)).tolist() == [not inside]

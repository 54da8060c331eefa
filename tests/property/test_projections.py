"""Projections land inside, stay put inside, and are the nearest, in every memory format."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

from bench.attacks.projections import Ball, direction, onto_ball, onto_hyperplane, safe_radius, size
from bench.evaluation.judge.distances import distance
from bench.threats import Norm, ThreatModel

NORMS = [Norm.LINF, Norm.L2]
SHAPES = [(5, 3, 4, 4), (5, 3, 3, 5)]
FORMATS = [torch.contiguous_format, torch.channels_last]
seeds = st.integers(0, 2**31 - 1)
radii = st.sampled_from(["1/255", "2/255", "8/255", "1/10", "1/2", "1", "3"])


def some_images(seed, memory_format=torch.contiguous_format, shape=SHAPES[0]):
    """Return images and perturbed ones that may leave the box, with a share of pixels in its corners."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(shape, generator=generator)
    images = torch.where(torch.rand(shape, generator=generator) < 0.2, images.round(), images)
    moved = images + torch.randn(shape, generator=generator)
    return images.to(memory_format=memory_format), moved.to(memory_format=memory_format)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("norm", NORMS)
@given(seed=seeds, epsilon=radii)
@settings(max_examples=40, deadline=None)
def test_a_projected_image_lies_in_ball_and_box_even_measured_in_double_precision(norm, memory_format, seed, epsilon):
    images, moved = some_images(seed, memory_format)
    threat = ThreatModel.parse(str(norm), epsilon)
    inside = Ball(images, norm, safe_radius(threat)).project(moved)
    assert bool((distance(images, inside, norm).double() <= float(threat.epsilon)).all())
    assert 0 <= float(inside.min()) <= float(inside.max()) <= 1


@pytest.mark.parametrize("norm", NORMS)
@given(seed=seeds, epsilon=radii)
@settings(max_examples=40, deadline=None)
def test_projecting_twice_changes_nothing(norm, seed, epsilon):
    images, moved = some_images(seed)
    ball = Ball(images, norm, safe_radius(ThreatModel.parse(str(norm), epsilon)))
    once = ball.project(moved)
    torch.testing.assert_close(ball.project(once), once, rtol=0, atol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_perturbations_inside_the_ball_stay_put(norm, seed):
    images, moved = some_images(seed)
    delta = moved - images
    radius = size(delta, norm) * 1.001
    torch.testing.assert_close(onto_ball(delta, radius, norm), delta, rtol=1e-6, atol=0)


@given(seed=seeds, share=st.floats(0.01, 0.99))
@settings(max_examples=30, deadline=None)
def test_the_euclidean_projection_is_the_nearest_point_of_the_ball(seed, share):
    images, moved = some_images(seed)
    delta = moved - images
    radius = size(delta, Norm.L2) * share
    projected = onto_ball(delta, radius, Norm.L2)
    # variational inequality: the gap is orthogonal to the sphere, so no point of the ball is nearer
    other = onto_ball(torch.randn(delta.shape, generator=torch.Generator().manual_seed(seed)), radius, Norm.L2)
    assert bool((((delta - projected) * (other - projected)).sum(dim=(1, 2, 3)) <= 1e-3).all())


@pytest.mark.parametrize("norm", NORMS)
@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_a_direction_has_size_one_and_a_zero_one_stays_zero(norm, seed):
    images, moved = some_images(seed)
    delta = moved - images
    delta[0] = 0
    sizes = size(direction(delta, norm), norm)
    torch.testing.assert_close(sizes, torch.tensor([0.0, 1, 1, 1, 1]), rtol=0, atol=1e-5)


def hyperplane_problem(seed, reach, shape=SHAPES[0]):
    """Return images, normals with zeros, and an excess that is a share of what the box allows."""
    generator = torch.Generator().manual_seed(seed)
    images, _ = some_images(seed, shape=shape)
    normal = torch.randn(shape, generator=generator) * (torch.rand(shape, generator=generator) < 0.8)
    side = torch.where(torch.rand(shape[0], generator=generator) < 0.5, -1.0, 1.0)
    toward = -normal * side[:, None, None, None]
    most = (toward.abs() * torch.where(toward > 0, 1 - images, images)).sum(dim=(1, 2, 3))
    return images, normal, side * most * reach


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("norm", NORMS)
@given(seed=seeds, reach=st.floats(0.01, 0.97))
@settings(max_examples=40, deadline=None)
def test_a_step_onto_a_hyperplane_arrives_and_stays_in_the_box(norm, memory_format, shape, seed, reach):
    images, normal, excess = hyperplane_problem(seed, reach, shape)
    step = onto_hyperplane(images.to(memory_format=memory_format), normal, excess, norm)
    torch.testing.assert_close((normal * step).sum(dim=(1, 2, 3)), -excess, rtol=1e-3, atol=1e-4)
    arrived = images + step
    assert -1e-6 <= float(arrived.min()) <= float(arrived.max()) <= 1 + 1e-6
    assert bool((step[normal == 0] == 0).all())


@pytest.mark.parametrize("shape", SHAPES)
@given(seed=seeds, reach=st.floats(0.05, 0.9))
@settings(max_examples=15, deadline=None)
def test_the_linf_step_onto_a_hyperplane_is_as_short_as_linear_programming_finds(shape, seed, reach):
    images, normal, excess = hyperplane_problem(seed, reach, shape)
    step = onto_hyperplane(images, normal, excess, Norm.LINF)
    x, w = images[0].flatten().double().numpy(), normal[0].flatten().double().numpy()
    count = len(x)
    limits = np.concatenate([np.eye(count), -np.eye(count)])
    answer = linprog(
        np.r_[np.zeros(count), 1.0],
        A_ub=np.c_[limits, -np.ones(2 * count)],
        b_ub=np.zeros(2 * count),
        A_eq=np.r_[w, 0.0][None],
        b_eq=[-float(excess[0])],
        bounds=[*zip(-x, 1 - x, strict=True), (0, None)],
    )
    assert float(size(step, Norm.LINF)[0]) == pytest.approx(answer.fun, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@given(seed=seeds, reach=st.floats(0.05, 0.9))
@settings(max_examples=8, deadline=None)
def test_the_l2_step_onto_a_hyperplane_is_as_short_as_quadratic_programming_finds(shape, seed, reach):
    images, normal, excess = hyperplane_problem(seed, reach, shape)
    step = onto_hyperplane(images, normal, excess, Norm.L2)
    x, w = images[0].flatten().double().numpy(), normal[0].flatten().double().numpy()
    answer = minimize(
        lambda d: d @ d,
        np.zeros(len(x)),
        jac=lambda d: 2 * d,
        method="SLSQP",
        bounds=list(zip(-x, 1 - x, strict=True)),
        constraints={"type": "eq", "fun": lambda d: w @ d + float(excess[0]), "jac": lambda d: w},
        options={"maxiter": 500, "ftol": 1e-12},
    )
    assert float(size(step, Norm.L2)[0]) <= float(np.sqrt(answer.fun)) * (1 + 1e-3)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("norm", NORMS)
@given(seed=seeds, beyond=st.floats(1.05, 100))
@settings(max_examples=20, deadline=None)
def test_a_hyperplane_out_of_reach_draws_every_number_that_matters_to_its_corner(norm, shape, seed, beyond):
    images, normal, excess = hyperplane_problem(seed, beyond, shape)
    arrived = images + onto_hyperplane(images, normal, excess, norm)
    side = excess.sign()[:, None, None, None]
    torch.testing.assert_close(
        arrived[normal != 0], torch.where(-normal * side > 0, 1.0, 0.0)[normal != 0], rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e-10, 1e10, 1e20])
def test_the_scale_of_the_normal_does_not_matter(norm, scale, shape):
    images, normal, excess = hyperplane_problem(7, 0.3, shape)
    plain = onto_hyperplane(images, normal, excess, norm)
    torch.testing.assert_close(
        onto_hyperplane(images, normal * scale, excess * scale, norm), plain, rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("norm", NORMS)
def test_a_zero_normal_moves_nothing(norm, shape):
    images, normal, excess = hyperplane_problem(7, 0.3, shape)
    step = onto_hyperplane(images, torch.zeros_like(normal), excess, norm)
    assert torch.equal(step, torch.zeros_like(step))

"""Machine code of the step onto a hyperplane: what torch computes in double precision, to the bits of float32."""

import pytest
import torch

from bench.attacks import hyperplane
from bench.attacks.projections import onto_hyperplane
from bench.threats import Norm

NORMS = [Norm.LINF, Norm.L2]


def problem(*shape, seed=0):
    """Return images whose numbers often lie on the border, and normals with zeros."""
    source = torch.Generator().manual_seed(seed)
    images = torch.rand(shape, generator=source).mul(1.6).sub(0.3).clamp(0, 1)
    return images, torch.randn(shape, generator=source) * (torch.rand(shape, generator=source) < 0.8)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("shape", [(7, 3, 32, 32), (5, 1, 8, 8), (1, 1, 4, 4), (2, 3, 64, 64)])
@pytest.mark.parametrize("excess", [0.0, 1e-3, 0.3, 20.0, 1e6, float("inf")])
def test_equals_torch_in_double_precision(shape, norm, excess):
    images, normal = problem(*shape)
    excess = torch.full((shape[0],), excess) * torch.tensor([1.0, -1.0]).repeat(4)[: shape[0]]
    assert hyperplane.fits(images.flatten(1))
    found = onto_hyperplane(images, normal, excess, norm)
    expected = onto_hyperplane(images.double(), normal.double(), excess.double(), norm)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_every_image_has_its_own_step(norm):
    images, normal = problem(6, 3, 8, 8)
    excess = torch.tensor([1.0, -2.0, 0.0, 0.5, -300.0, 8.0])
    together = onto_hyperplane(images, normal, excess, norm)
    alone = [onto_hyperplane(images[i : i + 1], normal[i : i + 1], excess[i : i + 1], norm) for i in range(6)]
    assert torch.equal(together, torch.cat(alone))


@pytest.mark.parametrize("norm", NORMS)
def test_inputs_keep_their_numbers(norm):
    images, normal = problem(3, 3, 8, 8)
    excess = torch.tensor([1.0, -2.0, 30.0])
    before = [tensor.clone() for tensor in (images, normal, excess)]
    onto_hyperplane(images, normal, excess, norm)
    assert all(torch.equal(*pair) for pair in zip(before, (images, normal, excess), strict=True))


@pytest.mark.parametrize("norm", NORMS)
def test_what_is_no_number_remains_none(norm):
    """A step that hides a broken gradient would pass for an honest one."""
    images, normal = problem(2, 3, 8, 8)
    normal[0, 1, 2, 3] = torch.nan
    steps = onto_hyperplane(images, normal, torch.tensor([1.0, 1.0]), norm)
    assert bool(steps[0, 1, 2, 3].isnan())
    assert bool(steps[1].isfinite().all())


def test_other_precisions_and_sizes_are_left_to_torch():
    assert hyperplane.fits(torch.zeros(2, 48))
    assert not hyperplane.fits(torch.zeros(2, 45))
    assert not hyperplane.fits(torch.zeros(2, 48, dtype=torch.float64))
    assert not hyperplane.fits(torch.zeros(2, 48, device="meta"))

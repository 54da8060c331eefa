"""The judge trusts no player."""

from fractions import Fraction

import pytest
import torch

from bench.errors import ContractError
from bench.evaluation.judge.distances import distance
from bench.evaluation.judge.verify import verify
from bench.threats import Norm, ThreatModel

LINF = ThreatModel(Norm.LINF, Fraction(1, 10))


def bright(images):
    """Tell dark images (class 0) from bright ones (class 1) by their mean."""
    mean = images.mean(dim=(1, 2, 3))
    return torch.stack([1 - mean, mean], dim=1)


@pytest.fixture
def originals():
    return torch.full((3, 1, 2, 2), 0.45)


@pytest.fixture
def labels():
    return torch.zeros(3, dtype=torch.int64)


def test_broken_means_fooled_and_inside(originals, labels):
    candidates = originals.clone()
    candidates[0] += 0.09
    candidates[1] += 0.2
    verdict = verify(bright, originals, candidates, labels, LINF)
    assert verdict.fooled.tolist() == [True, True, False]
    assert verdict.inside.tolist() == [True, False, True]


def test_every_norm_is_measured_from_the_images(originals, labels):
    candidates = originals.clone()
    candidates[0, 0, 0, 0] = 0.75
    candidates[0, 0, 1, 1] = 0.05
    sizes = verify(bright, originals, candidates, labels, LINF).distances
    assert sizes[Norm.L0][0] == 2
    assert sizes[Norm.LINF][0] == pytest.approx(0.4, rel=1e-6)
    assert sizes[Norm.L2][0] == pytest.approx(0.5, rel=1e-6)


def test_a_pixel_counts_once_and_even_if_its_channels_cancel():
    originals = torch.full((1, 3, 2, 2), 0.5)
    candidates = originals.clone()
    candidates[0, :, 0, 1] = torch.tensor([0.6, 0.4, 0.5])
    assert distance(originals, candidates, Norm.L0).tolist() == [1.0]


@pytest.mark.parametrize("value", [1.0001, -0.0001])
def test_leaving_the_box_breaks_the_contract(originals, labels, value):
    candidates = originals.clone()
    candidates[1, 0, 0, 0] = value
    with pytest.raises(ContractError, match="left"):
        verify(bright, originals, candidates, labels, LINF)


def test_nan_candidates_break_the_contract(originals, labels):
    candidates = originals.clone()
    candidates[1, 0, 0, 0] = torch.nan
    with pytest.raises(ContractError, match="NaN"):
        verify(bright, originals, candidates, labels, LINF)


def test_another_shape_breaks_the_contract(originals, labels):
    with pytest.raises(ContractError, match="shape"):
        verify(bright, originals, originals[:2], labels, LINF)


def test_a_model_that_answers_nan_gives_no_number(originals, labels):
    with pytest.raises(ContractError, match="NaN"):
        verify(lambda images: bright(images) * torch.nan, originals, originals, labels, LINF)

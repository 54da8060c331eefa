"""What every data set keeps to; add one to ``bench/data/zoo`` and it is held to this."""

import os
from pathlib import Path

import numpy as np
import pytest

from bench.data.dataset import DATASETS
from bench.errors import InputError, UsageError
from bench.offline import offline

FEW = (7, 0, 3)
PLACED = os.environ.get("BENCH_DATA_DIR") or str(Path(__file__).resolve().parents[2].parent / "shared" / "data")


@pytest.fixture
def source(request, monkeypatch):
    """Return a data set, or skip where its files are not at hand; none is downloaded."""
    monkeypatch.setenv("BENCH_DATA_DIR", PLACED)
    try:
        with offline():
            DATASETS[request.param].load("test", FEW)
    except InputError:
        pytest.skip(f"{request.param} is not at hand")
    return DATASETS[request.param]


every = pytest.mark.parametrize("source", list(DATASETS), indirect=True)


@every
@pytest.mark.parametrize("split", ["test", "train"])
def test_gives_the_points_wanted_in_the_order_wanted(source, split):
    points = source.load(split, FEW)
    assert points.ids.tolist() == list(FEW)
    for row, point in enumerate(FEW):
        alone = source.load(split, [point])
        np.testing.assert_array_equal(alone.pixels[0], points.pixels[row])
        assert alone.labels[0] == points.labels[row]


@every
def test_shapes_types_and_names_agree(source):
    points = source.load("test", FEW)
    channels, height, width = source.shape
    assert points.pixels.shape == (len(FEW), height, width, channels)
    assert (points.pixels.dtype, points.labels.dtype, points.ids.dtype) == (np.uint8, np.int64, np.int64)
    assert points.name == source.name
    assert points.classes == source.classes
    assert tuple(points.images().shape) == (len(FEW), *source.shape)
    assert points.images().max() <= 1
    assert source.citation


@every
def test_the_same_points_have_the_same_digest(source):
    assert source.load("test", FEW).digest == source.load("test", FEW).digest
    assert source.load("test", FEW).digest != source.load("test", FEW[::-1]).digest


@every
def test_unknown_splits_and_points_are_usage_errors(source):
    with pytest.raises(UsageError):
        source.load("validation", [0])
    with pytest.raises(UsageError):
        source.load("test", [-1])
    with pytest.raises(UsageError):
        source.load("test", [10**9])

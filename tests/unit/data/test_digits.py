import numpy as np

from bench.data.dataset import DATASETS
from bench.protocol.load import load

DIGITS = DATASETS["digits"]


def test_the_protocol_pins_these_very_pixels():
    assert DIGITS.load("test", range(500)).digest == load("digits-v1").data.digest


def test_no_image_is_in_both_splits():
    test, train = DIGITS.load("test", range(500)), DIGITS.load("train", range(1297))
    shared = {image.tobytes() for image in test.pixels} & {image.tobytes() for image in train.pixels}
    assert not shared
    assert len(test) + len(train) == 1797


def test_every_class_is_in_both_splits():
    for split, count in (("test", 500), ("train", 1297)):
        assert np.unique(DIGITS.load(split, range(count)).labels).tolist() == list(range(10))


def test_sixteen_means_white():
    images = DIGITS.load("test", range(500)).images()
    assert images.min() == 0
    assert images.max() == 1
    assert images.shape == (500, 1, 8, 8)

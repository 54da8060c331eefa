import numpy as np

from bench.data.dataset import DATASETS
from bench.models.manifest import manifest
from bench.protocol.load import load

DIGITS = DATASETS["digits"]
SPLITS = {"test": 500, "held-out": 200, "train": 1097}


def test_the_protocol_pins_these_very_pixels():
    assert DIGITS.load("test", range(500)).digest == load("digits-v1").data.digest


def test_no_image_is_in_two_splits():
    splits = [DIGITS.load(split, range(count)) for split, count in SPLITS.items()]
    images = [{image.tobytes() for image in points.pixels} for points in splits]
    assert len(set().union(*images)) == sum(len(points) for points in splits) == 1797


def test_the_networks_that_ship_never_saw_what_is_held_out():
    rules = manifest().data
    assert (rules.train, rules.test) == (SPLITS["train"], SPLITS["test"])
    assert DIGITS.load("held-out", range(200)).digest == load("digits-v1").held_out.digest


def test_every_class_is_in_both_splits():
    for split, count in SPLITS.items():
        assert np.unique(DIGITS.load(split, range(count)).labels).tolist() == list(range(10))


def test_sixteen_means_white():
    images = DIGITS.load("test", range(500)).images()
    assert images.min() == 0
    assert images.max() == 1
    assert images.shape == (500, 1, 8, 8)

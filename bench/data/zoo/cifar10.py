"""CIFAR-10 from slices or from the official batches, downloaded when there is a network."""

from collections.abc import Sequence

from bench.data.batches import archive, read
from bench.data.dataset import DATASETS, DataSource, EvalSet
from bench.data.slices import Layout, from_slices

_LAYOUT = Layout(
    "cifar10",
    (32, 32, 3),
    {"test": 10_000, "train": 50_000},
    ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
)
_OFFICIAL = archive("cifar10", "cifar10", "CIFAR10", "no licence stated; its author asks to be cited")


def load(split: str, ids: Sequence[int]) -> EvalSet:
    """Return images by their position in the official files.

    Slices come first where they hold every point wanted; the md5 of a batch is held before it is opened.

    Raises:
        InputError: if neither is at hand, saying what to place where.
    """
    _LAYOUT.check(split, ids)
    return from_slices(_LAYOUT, _OFFICIAL.home, split, ids) or read(_OFFICIAL, _LAYOUT, split, "CIFAR10").take(ids)


DATASETS.register("cifar10")(
    DataSource(
        name="cifar10",
        load=load,
        shape=(3, 32, 32),
        classes=_LAYOUT.classes,
        citation="A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009, "
        "https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf",
        official=_OFFICIAL,
    )
)

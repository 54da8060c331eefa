"""CIFAR-10 from slices or from the official batches, downloaded when there is a network."""

from collections.abc import Sequence

import numpy as np

from bench.data.dataset import DATASETS, DataSource, EvalSet, data_folder
from bench.data.slices import Layout, fetching, from_slices
from bench.offline import online

_LAYOUT = Layout(
    "cifar10",
    (32, 32, 3),
    {"test": 10_000, "train": 50_000},
    ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
)


def load(split: str, ids: Sequence[int]) -> EvalSet:
    """Return images by their position in the official files.

    Slices come first where they hold every point wanted; torchvision checks the md5 of a batch before it opens it.

    Raises:
        InputError: if neither is at hand, saying what to place where.
    """
    _LAYOUT.check(split, ids)
    folder = data_folder() / "cifar10"
    return from_slices(_LAYOUT, folder, split, ids) or _official(split).take(ids)


def _official(split: str) -> EvalSet:
    from torchvision.datasets import CIFAR10

    folder = data_folder() / "cifar10"
    place = (
        f"place {CIFAR10.filename} (md5 {CIFAR10.tgz_md5}, from {CIFAR10.url}) or its folder {CIFAR10.base_folder} in "
        f"{folder}, or slices {split}-<first>-<last>.npz that hold the points, or set BENCH_DATA_DIR to the folder "
        "that has cifar10"
    )
    with fetching(_LAYOUT, place):
        batches = CIFAR10(folder, train=split == "train", download=online())
    labels = np.asarray(batches.targets, dtype=np.int64)
    return _LAYOUT.points(split, batches.data, labels, np.arange(len(labels)))


DATASETS.register("cifar10")(
    DataSource(
        name="cifar10",
        load=load,
        shape=(3, 32, 32),
        classes=_LAYOUT.classes,
        citation="A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009, "
        "https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf",
    )
)

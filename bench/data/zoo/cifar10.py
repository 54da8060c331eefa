"""CIFAR-10 from slices or from the official batches, downloaded when there is a network."""

from collections.abc import Sequence

from bench.data import batches
from bench.data.dataset import DATASETS, DataSource, EvalSet
from bench.data.slices import Layout
from bench.download import Remote

_LAYOUT = Layout(
    "cifar10",
    (32, 32, 3),
    {"test": 10_000, "train": 50_000},
    ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
)
_OFFICIAL = batches.archive(
    "cifar10",
    Remote(
        "cifar-10-python.tar.gz",
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "md5:c58f30108f718f92721af3b95e74349a",
    ),
    {
        "test": ("cifar-10-batches-py/test_batch",),
        "train": tuple(f"cifar-10-batches-py/data_batch_{number}" for number in range(1, 6)),
    },
    "no licence stated; its author asks to be cited",
)


def load(split: str, ids: Sequence[int]) -> EvalSet:
    """Return images by their position in the official files; raises as ``batches.load`` does."""
    return batches.load(_OFFICIAL, _LAYOUT, "CIFAR10", split, ids)


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

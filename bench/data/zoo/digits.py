"""scikit-learn's handwritten digits: real images of 8×8 pixels, with nothing to download."""

from collections.abc import Sequence
from functools import cache

import numpy as np

from bench.data.dataset import DATASETS, DataSource, EvalSet
from bench.data.slices import Layout

_LAYOUT = Layout("digits", (8, 8, 1), {"test": 500, "train": 1297}, tuple("0123456789"), scale=16)


@cache
def _split(split: str) -> EvalSet:
    from sklearn.datasets import load_digits

    everything = load_digits()
    test = np.arange(len(everything.target)) % 18 < 5  # every writer's stretch of the file lends to both splits
    rows = np.flatnonzero(test if split == "test" else ~test)
    pixels = everything.images[rows, :, :, None].astype(np.uint8)
    return _LAYOUT.points(split, pixels, everything.target[rows].astype(np.int64), np.arange(len(rows)))


def load(split: str, ids: Sequence[int]) -> EvalSet:
    """Return digits by their position in the split.

    Of the 1,797 digits in scikit-learn's order, those whose index modulo 18 is below 5 are the 500 of ``test``, the
    other 1,297 are ``train``.
    """
    _LAYOUT.check(split, ids)
    return _split(split).take(ids)


DATASETS.register("digits")(
    DataSource(
        name="digits",
        load=load,
        shape=(1, 8, 8),
        classes=_LAYOUT.classes,
        citation="E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning "
        "Repository, 1998, https://doi.org/10.24432/C50P49",
    )
)

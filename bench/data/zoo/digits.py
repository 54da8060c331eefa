"""scikit-learn's handwritten digits: real images of 8×8 pixels, with nothing to download."""

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from bench.data.dataset import DATASETS, DataSource, EvalSet
from bench.data.slices import Layout
from bench.errors import AbsentError

_LAYOUT = Layout("digits", (8, 8, 1), {"test": 500, "train": 1097, "held-out": 200}, tuple("0123456789"), scale=16)


_PERIOD = 18
_PLACES = {"test": (0, 5), "held-out": (5, 7), "train": (7, 18)}
"""Of every 18 images in a row, which go to a split: every writer's stretch of the file lends to all of them."""


@cache
def _split(split: str) -> EvalSet:
    # read from the file that scikit-learn brings: importing the package takes seconds
    found = find_spec("sklearn")
    if found is None or found.origin is None:
        raise AbsentError(
            "The data set digits comes with scikit-learn, which is not installed: pip install scikit-learn."
        )
    table = np.loadtxt(Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz", np.uint8, delimiter=",")
    place = np.arange(len(table)) % _PERIOD
    first, end = _PLACES[split]
    rows = np.flatnonzero((first <= place) & (place < end))
    pixels = table[rows, :-1].reshape(-1, 8, 8, 1)
    return _LAYOUT.points(split, pixels, table[rows, -1].astype(np.int64), np.arange(len(rows)))


def load(split: str, ids: Sequence[int]) -> EvalSet:
    """Return digits by their position in the split.

    Of the 1,797 digits in scikit-learn's order, those whose index modulo 18 is below 5 are the 500 of ``test``, those
    where it is 5 or 6 the 200 of ``held-out``, which no network that ships was trained or tested on, and the other
    1,097 are ``train``.
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

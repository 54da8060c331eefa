"""SVHN's cropped digits from slices or from the official files, downloaded when there is a network."""

from collections.abc import Sequence

import numpy as np

from bench.data.dataset import DATASETS, DataSource, EvalSet
from bench.data.official import Official
from bench.data.slices import Layout, from_slices
from bench.download import Remote

_LAYOUT = Layout("svhn", (32, 32, 3), {"test": 26_032, "train": 73_257}, tuple("0123456789"))
_MD5 = {"test": "eb5a983be6a315427106f1b164d9cef3", "train": "e26dedcc434d2e4c54c9b2d4a06d8373"}
_OFFICIAL = Official(
    "svhn",
    "svhn",
    {
        split: (Remote(file, f"http://ufldl.stanford.edu/housenumbers/{file}", f"md5:{md5}"),)
        for split, md5 in _MD5.items()
        if (file := f"{split}_32x32.mat")
    },
    "for non-commercial use only; its authors ask to be cited",
)


def load(split: str, ids: Sequence[int]) -> EvalSet:
    """Return images by their position in the official files; the digit 0, which these call 10, is class 0.

    The official file comes first, then slices that hold every point wanted, then it is fetched.

    Raises:
        InputError: if neither slices nor official files are at hand, saying what to place where.
    """
    _LAYOUT.check(split, ids)
    found = None if _OFFICIAL.here(split) else from_slices(_LAYOUT, _OFFICIAL.home, split, ids)
    return found or _read(split).take(ids)


def _read(split: str) -> EvalSet:
    from scipy.io import loadmat

    with _OFFICIAL.opened(split) as file:
        arrays = loadmat(file)  # plain arrays, and its md5 is the published one
    labels = arrays["y"].astype(np.int64).flatten() % 10
    pixels = np.ascontiguousarray(arrays["X"].transpose(3, 0, 1, 2))
    return _LAYOUT.points(split, pixels, labels, np.arange(len(labels)), _OFFICIAL.pins(split))


DATASETS.register("svhn")(
    DataSource(
        name="svhn",
        load=load,
        shape=(3, 32, 32),
        classes=_LAYOUT.classes,
        citation="Y. Netzer, T. Wang, A. Coates, A. Bissacco, B. Wu and A. Y. Ng, Reading Digits in Natural Images "
        "with Unsupervised Feature Learning, NIPS Workshop on Deep Learning and Unsupervised Feature Learning, 2011, "
        "http://ufldl.stanford.edu/housenumbers/nips2011_housenumbers.pdf",
        official=_OFFICIAL,
    )
)

"""MNIST from slices or from the official files, downloaded when there is a network."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.data.dataset import DATASETS, DataSource, EvalSet, data_folder
from bench.data.slices import Layout, fetching, from_slices
from bench.offline import online

_LAYOUT = Layout("mnist", (28, 28, 1), {"test": 10_000, "train": 60_000}, tuple("0123456789"))
_STEM = {"test": "t10k", "train": "train"}
_HEADER = {"images-idx3": 16, "labels-idx1": 8}
"""Bytes before the values in the IDX format, by kind of file."""


def load(split: str, ids: Sequence[int]) -> EvalSet:
    """Return images by their position in the official files.

    Raises:
        InputError: if neither slices nor official files are at hand, saying what to place where.
    """
    _LAYOUT.check(split, ids)
    return from_slices(_LAYOUT, data_folder() / "MNIST", split, ids) or _official(split).take(ids)


def _official(split: str) -> EvalSet:
    folder = data_folder() / "MNIST" / "raw"
    images = _values(folder, split, "images-idx3").reshape(-1, 28, 28, 1)
    labels = _values(folder, split, "labels-idx1").astype(np.int64)
    return _LAYOUT.points(split, images, labels, np.arange(len(labels)))


def _values(folder: Path, split: str, kind: str) -> NDArray[np.uint8]:
    from torchvision.datasets import MNIST
    from torchvision.datasets.utils import download_url

    name = f"{_STEM[split]}-{kind}-ubyte.gz"
    md5 = dict(MNIST.resources)[name]
    place = (
        f"place {name} (md5 {md5}, from {MNIST.mirrors[0]}{name}) in {folder}, or slices {split}-<first>-<last>.npz "
        f"that hold the points in {folder.parent}, or set BENCH_DATA_DIR to the folder that has MNIST"
    )
    with fetching(_LAYOUT, place):
        if online():
            download_url(f"{MNIST.mirrors[0]}{name}", folder, filename=name, md5=md5)  # does nothing when it is there
        return np.frombuffer(gzip.decompress((folder / name).read_bytes()), np.uint8, offset=_HEADER[kind])


DATASETS.register("mnist")(
    DataSource(
        name="mnist",
        load=load,
        shape=(1, 28, 28),
        classes=_LAYOUT.classes,
        citation="Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-Based Learning Applied to Document "
        "Recognition, Proceedings of the IEEE, 1998, https://doi.org/10.1109/5.726791",
    )
)

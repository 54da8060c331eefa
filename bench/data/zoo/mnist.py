"""MNIST from slices or from the official files, compressed or not, downloaded when there is a network."""

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.data.dataset import DATASETS, DataSource, EvalSet
from bench.data.official import Official
from bench.data.slices import Layout, from_slices
from bench.download import Remote
from bench.errors import InputError

_LAYOUT = Layout("mnist", (28, 28, 1), {"test": 10_000, "train": 60_000}, tuple("0123456789"))
_STEM = {"test": "t10k", "train": "train"}
_KINDS = {"images-idx3": (28, 28), "labels-idx1": ()}
"""Shape of one value of each kind of file, after its count."""
_MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_MD5 = {
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
}


def _files(stem: str) -> tuple[Remote, ...]:
    return tuple(
        Remote(f"raw/{name}", f"{_MIRROR}{name}", f"md5:{md5}") for name, md5 in _MD5.items() if name.startswith(stem)
    )


def _unpacked(home: Path, split: str) -> bool:
    return all((home / "raw" / f"{_STEM[split]}-{kind}-ubyte").is_file() for kind in _KINDS)


_OFFICIAL = Official(
    "mnist",
    "MNIST",
    {split: _files(stem) for split, stem in _STEM.items()},
    "no licence comes with the files; its authors ask to be cited",
    ready=_unpacked,
)


def load(split: str, ids: Sequence[int]) -> EvalSet:
    """Return images by their position in the official files.

    Raises:
        InputError: if neither slices nor official files are at hand, saying what to place where.
    """
    _LAYOUT.check(split, ids)
    return from_slices(_LAYOUT, _OFFICIAL.home, split, ids) or _read(split).take(ids)


def _read(split: str) -> EvalSet:
    home = _OFFICIAL.home if _OFFICIAL.ready(_OFFICIAL.home, split) else _OFFICIAL.obtain(split)
    images, labels = (_values(home / "raw" / f"{_STEM[split]}-{kind}-ubyte", shape) for kind, shape in _KINDS.items())
    return _LAYOUT.points(split, images[..., None], labels.astype(np.int64), np.arange(len(labels)))


def _values(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read a file of bytes in the IDX format: 0, 0, type 8, number of dimensions, each as 4 bytes, then the values."""
    try:
        content = (
            path.read_bytes() if path.is_file() else gzip.decompress(path.with_name(f"{path.name}.gz").read_bytes())
        )
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{str(path)!r} cannot be read ({error}); fetch it again.") from None
    start = 4 * (2 + len(shape))
    header = np.frombuffer(content[:start].ljust(start, b"\0"), ">i4")
    if header[0] != 0x800 + 1 + len(shape) or tuple(header[2:]) != shape or len(content) - start != header[1:].prod():
        raise InputError(f"{str(path)!r} is no IDX file of bytes of shape {shape or 'one'} each; fetch it again.")
    return np.frombuffer(content, np.uint8, offset=start).reshape(-1, *shape)


DATASETS.register("mnist")(
    DataSource(
        name="mnist",
        load=load,
        shape=(1, 28, 28),
        classes=_LAYOUT.classes,
        citation="Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-Based Learning Applied to Document "
        "Recognition, Proceedings of the IEEE, 1998, https://doi.org/10.1109/5.726791",
        official=_OFFICIAL,
    )
)

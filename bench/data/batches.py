"""CIFAR-10 and CIFAR-100 as they are published: an archive of batches, which torchvision opens after their md5."""

import tarfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.dataset import EvalSet
from bench.data.official import Official
from bench.data.slices import Layout
from bench.download import Remote
from bench.errors import InputError


def archive(name: str, folder: str, kind: str, terms: str) -> Official:
    """Return one of torchvision's two data sets of batches, ``CIFAR10`` or ``CIFAR100``, as it is published."""
    return Official(name, folder, partial(_files, kind), terms, ready=partial(_ready, kind))


def read(official: Official, layout: Layout, split: str, kind: str) -> EvalSet:
    """Return all points of a split, from the batches or from their archive, which is fetched where it is absent.

    Raises:
        InputError: if it cannot be had, saying what to place where, or a batch is not the official one.
    """
    made = _torchvision(kind)
    if not official.ready(official.home, split):
        home = official.obtain(split)
        with tarfile.open(home / made.filename) as packed:  # its md5 is the published one
            packed.extractall(home, filter="data")
    try:
        batches = made(official.home, train=split == "train", download=False)
    except RuntimeError:  # a batch with another md5
        raise InputError(
            f"{official.name}: a file in {str(official.home / made.base_folder)!r} is not the official one; remove "
            "that folder, and the archive is unpacked or fetched again."
        ) from None
    labels = np.asarray(batches.targets, dtype=np.int64)
    return layout.points(split, batches.data, labels, np.arange(len(labels)))


def _files(kind: str) -> dict[str, tuple[Remote, ...]]:
    made = _torchvision(kind)
    whole = (Remote(made.filename, made.url, f"md5:{made.tgz_md5}"),)
    return {"test": whole, "train": whole}


def _ready(kind: str, home: Path, split: str) -> bool:
    made = _torchvision(kind)
    batches = made.test_list if split == "test" else made.train_list
    return all((home / made.base_folder / batch).is_file() for batch, _ in batches)


def _torchvision(kind: str) -> Any:
    from torchvision import datasets

    return getattr(datasets, kind)

"""CIFAR-10 and CIFAR-100 as they are published: an archive of batches, which torchvision opens after their md5."""

import tarfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from bench.data.dataset import EvalSet
from bench.data.official import Official
from bench.data.slices import Layout, from_slices
from bench.download import Remote
from bench.errors import InputError


def archive(name: str, remote: Remote, batches: Mapping[str, Sequence[str]], terms: str) -> Official:
    """Return one of the two data sets as it is published: an archive with the batches of each split, by their paths.

    What torchvision knows of its files is written down once more: importing it takes seconds, and it is needed only
    where a batch is opened.
    """
    return Official(name, name, dict.fromkeys(batches, (remote,)), terms, ready=partial(_unpacked, batches))


def _unpacked(batches: Mapping[str, Sequence[str]], home: Path, split: str) -> bool:
    return all((home / batch).is_file() for batch in batches[split])


def load(official: Official, layout: Layout, kind: str, split: str, ids: Sequence[int]) -> EvalSet:
    """Return points by their position in the official files; ``kind`` is torchvision's name of the data set.

    Batches or their archive come first, then slices that hold every point wanted, then the archive is fetched.

    Raises:
        UsageError: if the data set has no such split or point.
        InputError: if none of them is to be had, saying what to place where, or a batch is not the official one.
    """
    layout.check(split, ids)
    there = official.here(split) or official.ready(official.home, split)
    found = None if there else from_slices(layout, official.home, split, ids)
    return found or _read(official, layout, kind, split).take(ids)


def _read(official: Official, layout: Layout, kind: str, split: str) -> EvalSet:
    """Return all points of a split.

    Every batch is held against its own published md5 as it is opened, so batches that were unpacked before are as good
    as the archive.
    """
    if not official.ready(official.home, split):
        with official.opened(split) as file, tarfile.open(fileobj=file) as packed:
            packed.extractall(official.home, filter="data")
    from torchvision import datasets

    made = getattr(datasets, kind)
    try:
        batches = made(official.home, train=split == "train", download=False)
    except RuntimeError:  # a batch with another md5
        raise InputError(
            f"{official.name}: a file in {str(official.home / made.base_folder)!r} is not the official one; remove "
            "that folder, and the archive is unpacked or fetched again."
        ) from None
    labels = np.asarray(batches.targets, dtype=np.int64)
    return layout.points(split, batches.data, labels, np.arange(len(labels)), official.pins(split))

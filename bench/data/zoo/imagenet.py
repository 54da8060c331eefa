"""ImageNet's validation photographs that RobustBench tests on, from an ImageFolder or the archive placed by hand."""

import json
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from bench.data.dataset import DATASETS, DataSource, EvalSet
from bench.data.official import Official
from bench.data.photographs import Gallery, Photograph, mixed
from bench.download import Remote
from bench.errors import UsageError

_PAGE = "https://image-net.org/challenges/LSVRC/2012/2012-downloads.php"
_VALIDATION = 50_000
_TRAIN = 1_281_167
"""Photographs of the two parts of ILSVRC 2012."""


def _files() -> dict[str, tuple[Remote, ...]]:
    from torchvision.datasets.imagenet import ARCHIVE_META

    file, md5 = ARCHIVE_META["val"]
    return {"test": (Remote(file, _PAGE, f"md5:{md5}"),), "train": ()}


def _unpacked(home: Path, split: str) -> bool:
    return (home / ("val" if split == "test" else "train")).is_dir()


_OFFICIAL = Official(
    "imagenet",
    "imagenet",
    _files,
    "terms of access that everyone accepts for themselves: research and education, no redistribution",
    closed=f"its owners ask everyone to accept their terms at {_PAGE}",
    ready=_unpacked,
    slices=False,
)


@cache
def _tables() -> dict[str, Any]:
    """Return the wnid of every class by its number, and the class and the number of each point's file."""
    return json.loads((resources.files("bench.data.zoo") / "imagenet.json").read_text("utf-8"))


@cache
def _wnids() -> tuple[str, ...]:
    return tuple(_tables()["classes"])


@cache
def _listed() -> tuple[Photograph, ...]:
    """Return RobustBench's photographs in its own order, which mixes the classes."""
    wnids = _wnids()
    return tuple(
        Photograph(wnids[label], f"ILSVRC2012_val_{number:08}.JPEG", label) for label, number in _tables()["points"]
    )


def load(split: str, ids: Sequence[int]) -> EvalSet:
    """Return photographs, shorter side 256, middle square 224.

    Ids of ``test`` count RobustBench's 5,000 in its own order; those of ``held-out`` count the other 45,000 validation
    photographs, and those of ``train`` the training part, by the sha256 of the files' names. Only their folders tell
    the classes of these two, so an archive does not do for them.

    Raises:
        InputError: if a photograph is not at hand, saying what to place where.
    """
    home = _OFFICIAL.home
    if split == "train":
        return _gallery(home / "train").load(split, mixed(home / "train", _wnids(), _TRAIN), ids)
    if split == "held-out":
        return _gallery(home / "val").load(split, _others(home / "val"), ids)
    if split != "test":
        raise UsageError(f"imagenet has no split {split!r}; it has test, held-out, train.")
    return _gallery(home / "val", home / _OFFICIAL.of(split)[0].name).load(split, _listed(), ids)


def _others(folder: Path) -> tuple[Photograph, ...]:
    listed = {one.file for one in _listed()}
    return tuple(one for one in mixed(folder, _wnids(), _VALIDATION) if one.file not in listed)


def _gallery(folder: Path, archive: Path | None = None) -> Gallery:
    advice = f"place the folders of its classes in {folder}"
    if archive is not None:
        advice += f", or {archive.name} ({_OFFICIAL.of('test')[0].spelled}, from {_PAGE}) in {archive.parent}"
    advice += ", or set BENCH_DATA_DIR to the folder that has imagenet"
    return Gallery(
        "imagenet", _wnids(), lambda one: (folder / one.folder / one.file, folder / one.file), advice, archive
    )


DATASETS.register("imagenet")(
    DataSource(
        name="imagenet",
        load=load,
        shape=(3, 224, 224),
        classes=_wnids(),
        citation="O. Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, IJCV, 2015, "
        "https://doi.org/10.1007/s11263-015-0816-y; the points: F. Croce et al., RobustBench, arXiv:2010.09670",
        official=_OFFICIAL,
    )
)

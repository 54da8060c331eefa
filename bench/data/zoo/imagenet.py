"""ImageNet's validation photographs, RobustBench's first, from the archive or an ImageFolder placed by hand."""

import json
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from bench.data.dataset import DATASETS, DataSource, EvalSet
from bench.data.official import Official
from bench.data.photographs import Gallery, Photograph, mixed, mixed_in
from bench.download import Remote
from bench.errors import UsageError

_PAGE = "https://image-net.org/challenges/LSVRC/2012/2012-downloads.php"
_TRAIN = 1_281_167
"""Photographs of the training part of ILSVRC 2012."""


def _unpacked(home: Path, split: str) -> bool:
    return (home / ("val" if split == "test" else "train")).is_dir()


_OFFICIAL = Official(
    "imagenet",
    "imagenet",
    {"test": (Remote("ILSVRC2012_img_val.tar", _PAGE, "md5:29b22e2961454d5413ddabcf34fc5622"),), "train": ()},
    "terms of access that everyone accepts for themselves: research and education, no redistribution",
    closed=f"its owners ask everyone to accept their terms at {_PAGE}",
    ready=_unpacked,
    slices=False,
)


@cache
def _tables() -> dict[str, Any]:
    """Return the wnid of every class, the class of every validation photograph, and the number of each point's file."""
    return json.loads((resources.files("bench.data.zoo") / "imagenet.json").read_text("utf-8"))


@cache
def _wnids() -> tuple[str, ...]:
    return tuple(_tables()["classes"])


def _photograph(number: int) -> Photograph:
    label = _tables()["labels"][number - 1]
    return Photograph(_wnids()[label], f"ILSVRC2012_val_{number:08}.JPEG", label)


@cache
def _listed() -> tuple[Photograph, ...]:
    """Return RobustBench's photographs in its own order, which mixes the classes."""
    return tuple(map(_photograph, _tables()["points"]))


@cache
def _others() -> tuple[Photograph, ...]:
    """Return the other validation photographs in the order of the sha256 of their names."""
    numbers = range(1, len(_tables()["labels"]) + 1)
    left = sorted(set(numbers) - set(_tables()["points"]))
    return mixed(map(_photograph, left), len(left), _OFFICIAL.home)


def load(split: str, ids: Sequence[int]) -> EvalSet:
    """Return photographs, shorter side 256, middle square 224.

    Ids of ``test`` count RobustBench's 5,000 in its own order; those of ``held-out`` count the other 45,000 validation
    photographs, and those of ``train`` the training part, by the sha256 of the files' names. The archive of the
    validation photographs comes first, its digest takes half a minute; their folders serve where it is absent, and
    nobody can tell what they hold.

    Raises:
        InputError: if a photograph is not at hand, saying what to place where.
    """
    home = _OFFICIAL.home
    if split == "train":
        folder = home / "train"
        return _in_folders(split, mixed_in(folder, _wnids(), _TRAIN), folder, ids)
    if split not in {"test", "held-out"}:
        raise UsageError(f"imagenet has no split {split!r}; it has test, held-out, train.")
    listed = _listed() if split == "test" else _others()
    if not _OFFICIAL.here("test"):
        return _in_folders(split, listed, home / "val", ids)
    with _OFFICIAL.opened("test") as file:
        gallery = Gallery("imagenet", split, _wnids(), listed)
        return gallery.in_archive(ids, file, lambda one: one.file, _OFFICIAL.pins("test"))


def _in_folders(split: str, listed: Sequence[Photograph], folder: Path, ids: Sequence[int]) -> EvalSet:
    advice = f"place the folders of its classes in {folder}"
    if split != "train":
        (archive,) = _OFFICIAL.of("test")
        advice += f", or {archive.name} ({archive.spelled}, from {_PAGE}) in {_OFFICIAL.home}"
    advice += ", or set BENCH_DATA_DIR to the folder that has imagenet"
    gallery = Gallery("imagenet", split, _wnids(), listed)
    return gallery.in_folders(ids, lambda one: (folder / one.folder / one.file, folder / one.file), advice)


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

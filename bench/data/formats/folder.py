"""Photographs in the layout of an ImageFolder: one folder a class."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from bench.data.dataset import DataSource, EvalSet
from bench.data.decoding import Interpolation, Preprocessing, decode
from bench.data.format import FORMATS, DataFormat, File, Folder, FormatSettings
from bench.data.listing import Listed, read_classes, read_labels, spell, walk
from bench.errors import InputError, UsageError

Side = Annotated[int, Field(ge=1, le=4096)]


class Settings(FormatSettings):
    """Where photographs lie, what class each has, and what is done to them."""

    path: Folder
    """Holds the images of the split ``test``: one folder a class, or what ``labels`` lists."""
    classes: File | None = None
    """Names of all classes, one a line, in the order of the network's outputs; a folder bears its class's name."""
    labels: File | None = None
    """A table ``file,class`` or ``file,class,sha256`` of the images, in place of looking into the folders."""
    count: Annotated[int, Field(ge=2)] | None = None
    """Number of classes, where their names are not listed."""
    size: Side | None = None
    """Of the shorter side after resizing; left out, nothing is resized."""
    crop: Side
    """Side of the square that is cut from the middle."""
    interpolation: Interpolation | None = None
    """Goes with ``size``."""
    channels: Literal[1, 3] = 3
    train: Folder | None = None
    """Holds the images of the split ``train``, which recipes calibrate on."""
    train_labels: File | None = None

    @model_validator(mode="after")
    def _fit_together(self) -> "Settings":
        if self.classes is None and self.labels is None:
            raise ValueError(
                "say which number each class has, by classes (a list) or labels (a table); the folders do not tell"
            )
        if (self.classes is None) == (self.count is None):
            raise ValueError("say how many classes there are, either by classes (a list of names) or by count")
        if self.train is not None and self.classes is None and self.train_labels is None:
            raise ValueError("train needs classes (a list) or train_labels (a table) to number its classes")
        if self.train is None and self.train_labels is not None:
            raise ValueError("train_labels goes with train, the folder of the images it lists")
        if (self.size is None) != (self.interpolation is None):
            raise ValueError("size and interpolation go together")
        if self.size is not None and self.size < self.crop:
            raise ValueError(f"a square of {self.crop} pixels cannot be cut from a shorter side of {self.size}")
        return self

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to each image."""
        return Preprocessing(self.size, self.crop, self.interpolation, self.channels)


def open_folder(settings: Settings) -> DataSource:
    """Return photographs as a data set; reads the list of classes or the tables, and no image.

    Raises:
        InputError: if a list or a table is not what it should be, with its line.
    """
    names = read_classes(settings.classes) if settings.classes else tuple(map(str, range(settings.count or 0)))
    tables = {"test": settings.labels, "train": settings.train_labels}
    listed = {split: read_labels(table, len(names)) for split, table in tables.items() if table}
    return DataSource(
        name="folder",
        load=partial(_load, settings, names, listed),
        shape=(settings.channels, settings.crop, settings.crop),
        classes=names,
        citation="images of one's own",
    )


def _load(
    settings: Settings, names: tuple[str, ...], tables: dict[str, tuple[Listed, ...]], split: str, ids: Sequence[int]
) -> EvalSet:
    folder = {"test": settings.path, "train": settings.train}.get(split)
    if folder is None:
        raise UsageError(f"these photographs have no split {split!r}; name a folder of training images with train.")
    listed = tables[split] if split in tables else walk(folder, names)
    beyond = [point for point in ids if not 0 <= point < len(listed)]
    if beyond:
        raise UsageError(f"{str(folder)!r} has no image {beyond[0]}; it has {len(listed)}, ids 0 to {len(listed) - 1}.")
    chosen = [listed[point] for point in ids]
    pixels = np.empty((len(chosen), settings.crop, settings.crop, settings.channels), np.uint8)
    for row, one in enumerate(chosen):
        pixels[row] = decode(folder / one.file, settings.preprocessing)
        if one.digest is not None and _digest(pixels[row]) != one.digest:
            raise InputError(
                f"{str(folder / one.file)!r} decodes to pixels of sha256 {_digest(pixels[row])[:12]}…, and its table "
                f"has {one.digest[:12]}…; fetch it again, or see whether Pillow or the preprocessing is another."
            )
    labels = np.array([one.label for one in chosen], np.int64)
    return EvalSet("folder", split, pixels, 255, labels, np.array(ids, np.int64), names)


def table(settings: Settings) -> str:
    """Return the table of every image of the split ``test`` with the digest of its pixels."""
    source = open_folder(settings)
    listed = (
        read_labels(settings.labels, len(source.classes)) if settings.labels else walk(settings.path, source.classes)
    )
    return spell([
        replace(one, digest=_digest(decode(settings.path / one.file, settings.preprocessing))) for one in listed
    ])  # fmt: skip


def _digest(pixels: NDArray[np.uint8]) -> str:
    return hashlib.sha256(pixels.tobytes()).hexdigest()


START = """\
path = "images/val"                # one folder a class, its name that of the class
classes = "images/classes.txt"     # all classes, one a line, in the order of the network's outputs
# labels = "images/labels.csv"     # or a table file,class[,sha256] of the images; with count = 1000 in place of classes
size = 256                         # shorter side after resizing; leave out size and interpolation to resize nothing
crop = 224                         # side of the square cut from the middle: what the network takes
interpolation = "bicubic"          # or nearest, bilinear, lanczos
# channels = 1                     # grey; 3 (RGB) where left out
# train = "images/train"           # images that recipes and regimes may look at
"""

FORMATS.register("folder")(
    DataFormat(
        name="folder",
        settings=Settings,
        open=open_folder,
        says="photographs, one folder a class (ImageFolder): resized, cropped, numbered by a list",
        start=START,
        table=table,
    )
)

"""Images in the arrays of one file."""

import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, model_validator

from bench.data.dataset import DataSource, EvalSet
from bench.data.format import FORMATS, DataFormat, File, FormatSettings
from bench.data.listing import read_classes
from bench.errors import InputError, UsageError

_WANTED = {"images": ("uint8", 4, "points × height × width × channels"), "labels": ("int64", 1, "points")}
"""Arrays of the file: type, dimensions and what they are."""


class Settings(FormatSettings):
    """Where the arrays lie and what they mean."""

    path: File
    """An .npz of the split ``test``: ``images``, uint8, points × height × width × channels, and ``labels``, int64."""
    classes: File | None = None
    """Names of all classes, one a line, in the order of the network's outputs."""
    count: Annotated[int, Field(ge=2)] | None = None
    """Number of classes, where their names are not listed."""
    scale: Annotated[int, Field(ge=1, le=255)] = 255
    """The pixel value that means 1.0."""
    train: File | None = None
    """An .npz with the images of the split ``train``, which recipes calibrate on."""

    @model_validator(mode="after")
    def _fit_together(self) -> "Settings":
        if (self.classes is None) == (self.count is None):
            raise ValueError("say how many classes there are, either by classes (a list of names) or by count")
        return self


def open_npz(settings: Settings) -> DataSource:
    """Return the arrays as a data set; reads their headers and no image.

    Raises:
        InputError: if the file does not hold plain arrays of the right types and shapes.
    """
    names = read_classes(settings.classes) if settings.classes else tuple(map(str, range(settings.count or 0)))
    _, height, width, channels = _shape(settings.path)
    return DataSource(
        name="npz",
        load=partial(_load, settings, names),
        shape=(channels, height, width),
        classes=names,
        citation="images of one's own",
    )


def _load(settings: Settings, names: tuple[str, ...], split: str, ids: Sequence[int]) -> EvalSet:
    path = {"test": settings.path, "train": settings.train}.get(split)
    if path is None:
        raise UsageError(f"these arrays have no split {split!r}; name a file of training images with train.")
    count, *shape = _shape(path)
    if shape != list(_shape(settings.path)[1:]):
        raise InputError(f"{str(path)!r} holds images of shape {shape}, and {str(settings.path)!r} others.")
    beyond = [point for point in ids if not 0 <= point < count]
    if beyond:
        raise UsageError(f"{str(path)!r} has no image {beyond[0]}; it has {count}, ids 0 to {count - 1}.")
    with np.load(path, allow_pickle=False) as arrays:
        rows = np.array(ids, np.int64)
        return EvalSet("npz", split, arrays["images"][rows], settings.scale, arrays["labels"][rows], rows, names)


def _shape(path: Path) -> tuple[int, ...]:
    """Return the shape of the images after a look at the headers of both arrays."""
    shapes = {}
    try:
        with zipfile.ZipFile(path) as archive:
            if missing := [name for name in _WANTED if f"{name}.npy" not in archive.namelist()]:
                raise InputError(f"{str(path)!r} has no array {missing[0]!r}; it should hold {' and '.join(_WANTED)}.")
            for name in _WANTED:
                with archive.open(f"{name}.npy") as member:
                    shapes[name] = _header(path, name, member, archive.getinfo(f"{name}.npy").file_size)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{str(path)!r} cannot be read as an .npz of plain arrays ({error}).") from None
    if shapes["images"][0] != shapes["labels"][0]:
        raise InputError(f"{str(path)!r}: {shapes['images'][0]} images and {shapes['labels'][0]} labels.")
    return shapes["images"]


def _header(path: Path, name: str, member: Any, size: int) -> tuple[int, ...]:
    kind, dimensions, says = _WANTED[name]
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(member)
    if dtype != np.dtype(kind) or len(shape) != dimensions or not all(shape):
        raise InputError(
            f"{str(path)!r}: {name} should be {kind} of shape {says}, got {dtype} of shape {tuple(shape)}."
        )
    if member.tell() + int(np.prod(shape)) * dtype.itemsize != size:
        raise InputError(f"{str(path)!r}: {name} is shorter or longer than its header says; write it again.")
    return tuple(shape)


START = """\
path = "test.npz"                  # arrays images (uint8, points × height × width × channels) and labels (int64)
count = 10                         # number of classes; or classes = "classes.txt", one name a line
# scale = 255                      # the pixel value that means 1.0
# train = "train.npz"              # images that recipes and regimes may look at
"""

FORMATS.register("npz")(
    DataFormat(
        name="npz",
        settings=Settings,
        open=open_npz,
        says="images and labels in the arrays of an .npz file",
        start=START,
    )
)

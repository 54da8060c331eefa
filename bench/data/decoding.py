"""From the file of a photograph to the exact pixels that a network is shown."""

import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bench.errors import InputError

Interpolation: TypeAlias = Literal["nearest", "bilinear", "bicubic", "lanczos"]

IMAGES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff"})
"""Endings of files that are read as images, in small letters."""

_DEEP = frozenset({"I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
"""Pillow's modes with more than eight bits a channel; turning them into eight would clip."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What is done to a photograph: the shorter side brought to a size, then the middle cut out.

    Attributes:
        size: of the shorter side, the longer one in proportion and rounded down; None leaves the image as it is.
        crop: side of the square cut from the middle.
        interpolation: Pillow's, with its support widened when an image shrinks.
        channels: 3 for RGB, 1 for grey.
    """

    size: int | None
    crop: int
    interpolation: Interpolation | None
    channels: int

    @property
    def words(self) -> str:
        """What is done, in one line."""
        scaled = "" if self.size is None else f"shorter side {self.size}, {self.interpolation}; "
        return f"{scaled}middle square {self.crop}; {'RGB' if self.channels == 3 else 'grey'}"


SCALED = Preprocessing(size=256, crop=224, interpolation="bilinear", channels=3)
"""What RobustBench shows its networks of ImageNet: shorter side 256, middle square 224."""
PREPARED: Mapping[str, Preprocessing] = {"imagenet": SCALED, "imagenette": SCALED}
"""What is done to the photographs of a data set; the images of the others are shown as they are published."""


def decode(path: Path, how: Preprocessing, content: bytes | None = None) -> NDArray[np.uint8]:
    """Return the pixels of an image, height × width × channels, as torchvision's Resize and CenterCrop give them.

    A rotation noted beside the image is not applied, as nobody does in this field; transparency is dropped. ``content``
    is the file's where it lies in an archive, of which ``path`` is the member's name.

    Raises:
        InputError: if it is missing, no image, deeper than eight bits, or smaller than the crop.
    """
    from PIL import Image

    if content is None and not path.is_file():
        raise InputError(f"{str(path)!r} is missing; place it there, or take it off the list of images.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what does not stop Pillow is of no interest
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path if content is None else io.BytesIO(content)) as opened:
                mode, image = opened.mode, opened.convert("RGB" if how.channels == 3 else "L")
    except Exception as error:  # noqa: BLE001 - decoders raise anything, and that is the finding
        raise InputError(f"{str(path)!r} cannot be decoded ({error}); replace it.") from None
    if mode in _DEEP:
        raise InputError(f"{str(path)!r} has more than eight bits a channel; convert it to eight.")
    width, height = image.size
    if how.size is not None and how.interpolation is not None:
        short = min(width, height)
        width, height = (how.size if side == short else how.size * side // short for side in (width, height))
        image = image.resize((width, height), Image.Resampling[how.interpolation.upper()])
    if min(width, height) < how.crop:
        raise InputError(f"{str(path)!r} is {width}×{height} pixels where {how.crop}×{how.crop} are cut; set size.")
    left, top = round((width - how.crop) / 2), round((height - how.crop) / 2)
    pixels = np.asarray(image.crop((left, top, left + how.crop, top + how.crop)))
    return pixels.reshape(how.crop, how.crop, how.channels)

"""Where witnesses are kept while attacks run: in memory as long as they are few, in a file where they are large."""

import tempfile
import weakref
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from bench.errors import BenchError
from bench.tensors import Images
from bench.threats import Norm

_IN_MEMORY = 2**26
"""Bytes beyond which they go into a file of the system's temporary folder, which has no name and ends with them."""


@dataclass(slots=True, weakref_slot=True)
class Witnesses:
    """One image for each point that has one, in every norm; a nearer one takes the place of the last.

    Attributes:
        shape: of one image.
        device: where images are handed out.
    """

    shape: tuple[int, ...]
    device: torch.device
    _file: tempfile.SpooledTemporaryFile[bytes] = field(init=False)
    _places: dict[tuple[Norm, int], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Open the file, and let it go with this object."""
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by the next line
        weakref.finalize(self, self._file.close)

    def put(self, norm: Norm, rows: Tensor, images: Images) -> None:
        """Keep the images of some points.

        Raises:
            BenchError: if the disk is full.
        """
        try:
            for row, image in zip(rows.tolist(), images.detach().cpu().contiguous().numpy(), strict=True):
                place = self._places.setdefault((norm, row), len(self._places))
                self._file.seek(place * image.nbytes)
                self._file.write(image.tobytes())
        except OSError as error:
            raise BenchError(
                f"cannot keep adversarial images in {tempfile.gettempdir()!r} ({error.strerror or error}); make room "
                "there, or set TMPDIR to a folder that has some."
            ) from None

    def get(self, norm: Norm, rows: Tensor) -> Images:
        """Return the images of some points; each has one."""
        found = np.empty((len(rows), *self.shape), np.float32)
        for image, row in zip(found, rows.tolist(), strict=True):
            self._file.seek(self._places[norm, row] * image.nbytes)
            image[...] = np.frombuffer(self._file.read(image.nbytes), np.float32).reshape(self.shape)
        return torch.from_numpy(found).to(self.device)

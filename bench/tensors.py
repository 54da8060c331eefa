"""The tensors every component speaks in, with shapes as types and units as documentation."""

import math
from typing import Protocol, TypeAlias, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

Images: TypeAlias = Float[Tensor, "batch channels height width"]
"""Pixel values in [0, 1], float32, any memory format; normalisation lives inside the classifier."""

Labels: TypeAlias = Int[Tensor, " batch"]
"""Class indices, int64."""

Logits: TypeAlias = Float[Tensor, "batch classes"]
"""Unnormalised scores; never probabilities."""

Flags: TypeAlias = Bool[Tensor, " batch"]
"""One yes or no per point."""

Ids: TypeAlias = Int[Tensor, " batch"]
"""Point ids, int64: the position of an image in its data set, the key of its random draws."""

Distances: TypeAlias = Float[Tensor, " batch"]
"""Perturbation sizes, float32; 0 for a misclassified point, infinity where nothing was found."""


@runtime_checkable
class Classifier(Protocol):
    """Maps images in [0, 1] to logits; deterministic, in evaluation mode."""

    def __call__(self, images: Images, /) -> Logits:
        """Return the logits of a batch."""
        ...


class Operations(TorchDispatchMode):
    """Sees every operation of a computation; a subclass says what it looks for.

    Its ``__torch_dispatch__`` is never compiled. PyTorch guards it against that by importing its whole compiler, which
    would cost every command two to three seconds.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False


_AT_ONCE = {"cpu": 900_000}
"""Numbers of images that a processor passes at once: 292 of 32 × 32 pixels in colour, 5 of 224 × 224."""
_AT_ONCE_ELSEWHERE = 5_000_000
"""The same of an accelerator: 33 of 224 × 224."""


def portion(images: Images, most: int) -> int:
    """Return how many of these images to pass at once: ``most``, but fewer where they would take gigabytes.

    What a network keeps of an image for its gradient is a few hundred times the image.
    """
    numbers = _AT_ONCE.get(images.device.type, _AT_ONCE_ELSEWHERE)
    return max(1, min(most, numbers // max(1, math.prod(images.shape[1:]))))

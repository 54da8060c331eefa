"""The tensors every component speaks in, with shapes as types and units as documentation."""

from typing import Protocol, TypeAlias, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor

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

"""Finds out to which weight a tensor belongs that an operation reads: the weight itself, or any view of it."""

from bisect import bisect_right
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor


class Owner(NamedTuple):
    """A weight and where in it a view starts, in elements."""

    name: str
    offset: int


class Owners:
    """Looks tensors up by the address of their memory.

    Addresses of elements and not of storages: the weights of one file may all lie in one storage.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self._ranges = sorted((weight.data_ptr(), weight.nbytes, name) for name, weight in weights.items())
        self._starts = [start for start, _, _ in self._ranges]

    def of(self, tensor: object) -> Owner | None:
        """Return whose view this is; None where it is no weight's."""
        if not isinstance(tensor, Tensor):
            return None
        place = bisect_right(self._starts, tensor.data_ptr()) - 1
        if place < 0:
            return None
        start, size, name = self._ranges[place]
        distance = tensor.data_ptr() - start
        return Owner(name, distance // tensor.element_size()) if distance < size else None

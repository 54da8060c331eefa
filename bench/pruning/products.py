"""Watches a forward pass for the products of inputs with weights."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bench.errors import ContractError
from bench.pruning.owners import Owner, Owners
from bench.tensors import Operations

_ATEN = torch.ops.aten


class Window(NamedTuple):
    """How a convolution moves over its images."""

    stride: Any
    padding: Any
    dilation: Any


class Products(Operations, ABC):
    """Shows every product of an input with one of the weights, just before it is computed.

    Operations are watched and not modules, so that projections inside attention and convolutions that pad their input
    themselves are met as they are computed. A subclass says what it wants to know.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._owners = Owners(weights)
        self.shapes = {name: weight.shape for name, weight in weights.items()}
        self.seen: set[str] = set()

    @abstractmethod
    def convolved(self, name: str, images: Tensor, groups: int, window: Window) -> None:
        """Look at the images that a weight is about to be convolved with."""

    @abstractmethod
    def multiplied(self, name: str, rows: slice, inputs: Tensor) -> None:
        """Look at inputs, one a line, that these rows of a weight are about to be multiplied with."""

    def hold_complete(self) -> None:
        """Hold that every weight was met.

        Raises:
            ContractError: if a weight is multiplied by an operation that is not known here.
        """
        if missing := sorted(self.shapes.keys() - self.seen):
            raise ContractError(
                f"no input of {missing[0]!r} was seen; it is multiplied by an operation not known here."
            )

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Look at the inputs, then run the operation."""
        del types
        packet = func.overloadpacket
        if packet in {_ATEN.convolution, _ATEN._convolution}:  # noqa: SLF001  the name torch gives the operation
            owner = self._owners.of(args[1])
            if owner is not None:
                self.seen.add(owner.name)
                self.convolved(owner.name, args[0], args[8], Window(*args[3:6]))
        elif packet in {_ATEN.addmm, _ATEN.mm, _ATEN.bmm, _ATEN.baddbmm}:
            left, right = args[-2:]
            owner = self._owners.of(right)
            if owner is not None:
                self.seen.add(owner.name)
                rows, inputs = self._lines(owner, left, right)
                self.multiplied(owner.name, rows, inputs)
        return func(*args, **(kwargs or {}))

    def _lines(self, owner: Owner, left: Tensor, right: Tensor) -> tuple[slice, Tensor]:
        width = self.shapes[owner.name][1]
        first = owner.offset // width
        return slice(first, first + right.shape[-1]), left.reshape(-1, width)

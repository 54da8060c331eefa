"""How large the inputs of each weight are, over the calibration images."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from bench.errors import ContractError
from bench.pruning.cost import plain_attention
from bench.pruning.masks import evaluating
from bench.pruning.owners import Owner, Owners
from bench.tensors import Images

BATCH = 128
_ATEN = torch.ops.aten


class _Squares(TorchDispatchMode):
    """Adds up the squares of everything that is multiplied with a weight.

    Operations are watched and not modules, so that projections inside attention and convolutions that pad their input
    themselves are met as they are computed.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._owners = Owners(weights)
        self._shapes = {name: weight.shape for name, weight in weights.items()}
        self.total = {name: torch.zeros_like(weight, dtype=torch.float64) for name, weight in weights.items()}
        self.seen: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation, then look at its inputs."""
        del types
        packet = func.overloadpacket
        if packet in {_ATEN.convolution, _ATEN._convolution}:  # noqa: SLF001  the name torch gives the operation
            owner = self._owners.of(args[1])
            if owner is not None:
                self._convolved(owner, args)
        elif packet in {_ATEN.addmm, _ATEN.mm, _ATEN.bmm, _ATEN.baddbmm}:
            left, right = args[-2:]
            owner = self._owners.of(right)
            if owner is not None:
                self._multiplied(owner, left, right)
        return func(*args, **(kwargs or {}))

    def _convolved(self, owner: Owner, args: tuple[Any, ...]) -> None:
        """Sum over images first: squares add up, so one map of patches serves for the whole batch."""
        images, weight, _, stride, padding, dilation = args[:6]
        groups = args[8]
        squares = images.double().square().sum(dim=0, keepdim=True)
        patches = functional.unfold(squares, weight.shape[2:], dilation, padding, stride).sum(dim=(0, 2))
        rows = patches.view(groups, *weight.shape[1:])
        self.total[owner.name] += rows.repeat_interleave(weight.shape[0] // groups, dim=0)
        self.seen.add(owner.name)

    def _multiplied(self, owner: Owner, left: Tensor, right: Tensor) -> None:
        width = self._shapes[owner.name][1]
        squares = left.double().square().reshape(-1, width).sum(dim=0)
        first = owner.offset // width
        self.total[owner.name][first : first + right.shape[-1]] += squares
        self.seen.add(owner.name)


def input_norms(network: nn.Module, weights: Mapping[str, Tensor], images: Images) -> dict[str, Tensor]:
    """Return for every weight the Euclidean norm of the inputs it multiplies, over all images and positions.

    Raises:
        ContractError: if a weight is multiplied by an operation that is not known here.
    """
    squares = _Squares(weights)
    with evaluating(network), torch.no_grad(), plain_attention(), squares:
        for batch in images.split(BATCH):
            network(batch)
    if missing := sorted(weights.keys() - squares.seen):
        raise ContractError(f"no input of {missing[0]!r} was seen; it is multiplied by an operation not known here.")
    return {name: total.sqrt() for name, total in squares.total.items()}

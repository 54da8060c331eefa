"""A twin of a network whose wide 3x3 convolutions take fewer multiplications, to craft images with on a processor.

Libraries of accelerators do this by themselves; the convolutions that torch has for processors do not. The logits of a
twin differ from its network's in the last bits, so it proposes images and judges nothing.
"""

import copy
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

LEAST_CHANNELS = 128
"""Below, moving the tiles costs more than the multiplications it saves (tests/benchmarks/PRUNING.md)."""
_CACHED = 4_000_000
"""Bytes of transformed tiles that stay in a core's cache."""

_Weights = Float[Tensor, "products inputs outputs"]


def twin(network: nn.Module) -> nn.Module:
    """Return a frozen copy that computes the same function faster on a processor; the network itself if none is."""
    wide = [name for name, module in network.named_modules() if _eligible(module)]
    if not wide:
        return network
    faster = copy.deepcopy(network)
    for name in wide:
        parent, _, last = name.rpartition(".")
        own = dict(faster.get_submodule(name).named_parameters())
        setattr(faster.get_submodule(parent), last, Winograd(own["weight"], own.get("bias")))
    return faster.requires_grad_(requires_grad=False).to(memory_format=torch.channels_last)


def _eligible(module: nn.Module) -> bool:
    return (
        type(module) is nn.Conv2d
        and module.weight.device.type == "cpu"
        and module.weight.dtype is torch.float32
        and module.kernel_size == (3, 3)
        and (module.stride, module.dilation, module.groups) == ((1, 1), (1, 1), 1)
        and (module.padding, module.padding_mode) == ((1, 1), "zeros")
        and min(module.in_channels, module.out_channels) >= LEAST_CHANNELS
    )


class Winograd(nn.Module):
    """A 3x3 convolution of stride one, padded by one, with frozen weights.

    Source: Lavin & Gray 2015, arXiv:1509.09308: F(4x4, 3x3), and F(2x2, 3x3) where images are small.
    Differs from the source: the transforms of both axes are one matrix (their Kronecker product); channels come last in
    memory, so that tiles move as whole rows; images pass in parts whose tiles fit a core's cache.
    """

    def __init__(self, weight: Float[Tensor, "outputs inputs 3 3"], bias: Tensor | None) -> None:
        super().__init__()
        self._weight, self._bias = weight.detach(), bias
        self._ready: dict[int, tuple[Tensor, Tensor]] = {}

    def forward(
        self, images: Float[Tensor, "batch inputs height width"]
    ) -> Float[Tensor, "batch outputs height width"]:
        """Convolve."""
        side = 2 if min(images.shape[2:]) <= 4 else 4  # a large tile would be mostly empty on a small image
        if side not in self._ready:
            turned = self._weight.flip(2, 3).transpose(0, 1)
            self._ready[side] = _transformed(self._weight, side), _transformed(turned, side)
        result: Tensor = _Convolution.apply(images, *self._ready[side], side)
        return result if self._bias is None else result + self._bias[:, None, None]


class _Convolution(torch.autograd.Function):
    """The gradient with respect to images is a convolution with the turned weights; weights are frozen."""

    @staticmethod
    def forward(context: Any, images: Tensor, ahead: Tensor, back: Tensor, side: int) -> Tensor:
        context.back, context.side = back, side
        return _convolve(images, ahead, side)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        return _convolve(gradients[0], context.back, context.side), None, None, None


def _convolve(images: Tensor, weights: _Weights, side: int) -> Tensor:
    """Convolve part by part; the result lies in memory with channels last."""
    batch, inputs, height, width = images.shape
    products, _, outputs = weights.shape
    tiles = -(-height // side) * -(-width // side)
    part = max(1, _CACHED // (tiles * products * max(inputs, outputs) * weights.element_size()))
    last = images.permute(0, 2, 3, 1)
    result = images.new_empty(batch, height, width, outputs)
    for first in range(0, batch, part):
        result[first : first + part] = _part(last[first : first + part], weights, side)
    return result.permute(0, 3, 1, 2)


def _part(images: Float[Tensor, "batch height width inputs"], weights: _Weights, side: int) -> Tensor:
    batch, height, width, inputs = images.shape
    down, across, reach = -(-height // side), -(-width // side), side + 2
    padded = functional.pad(images, (0, 0, 1, 1 + across * side - width, 1, 1 + down * side - height))
    tiles = padded.unfold(1, reach, side).unfold(2, reach, side).permute(4, 5, 0, 1, 2, 3)
    into, out = _both(side)
    moved = torch.mm(into, tiles.reshape(reach * reach, -1)).view(reach * reach, -1, inputs)
    products = torch.bmm(moved, weights).view(reach * reach, -1)
    found = torch.mm(out, products).view(side, side, batch, down, across, -1)
    whole = found.permute(2, 3, 0, 4, 1, 5).reshape(batch, down * side, across * side, -1)
    return whole[:, :height, :width]


def _transformed(weight: Float[Tensor, "outputs inputs 3 3"], side: int) -> _Weights:
    """Return the weights of every product, in double precision until the last step."""
    _, left, _ = _transforms(side)
    found = torch.einsum("ai,ocij,bj->abco", left, weight.double(), left)
    return found.reshape(len(left) ** 2, weight.shape[1], weight.shape[0]).float().contiguous()


@cache
def _both(side: int) -> tuple[Tensor, Tensor]:
    """Return the transforms of tiles and of products, both axes at once."""
    into, _, out = _transforms(side)
    return torch.kron(into, into).float(), torch.kron(out, out).float()


def _transforms(side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return Bᵀ, G and Aᵀ of the source, which transform tiles, weights and products along one axis."""
    if side == 2:
        into = [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]
        kernel = [[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]]
        out = [[1, 1, 1, 0], [0, 1, -1, -1]]
    else:
        into = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
                [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]]  # fmt: skip
        kernel = [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
                  [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]]  # fmt: skip
        out = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
    first, second, third = (torch.tensor(matrix, dtype=torch.float64) for matrix in (into, kernel, out))
    return first, second, third

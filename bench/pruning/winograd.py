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

LEAST_CHANNELS = 64
"""Below, moving the tiles costs more than the multiplications it saves (tests/benchmarks/PRUNING.md)."""
_CACHED = 2_000_000
"""Bytes of transformed tiles that stay in a core's cache. Where the weights take more, so may the tiles: each part
reads all weights once."""

_Weights = Float[Tensor, "products inputs outputs"]


def twin(network: nn.Module) -> nn.Module:
    """Return a frozen copy that computes the same function faster on a processor; the network itself if none is."""
    wide = [name for name, module in network.named_modules() if _eligible(module)]
    if not wide:
        return network
    faster = copy.deepcopy(network)
    for name in wide:
        parent, _, last = name.rpartition(".")
        own = faster.get_submodule(name)
        tensors = dict(own.named_parameters())
        other = Winograd(tensors["weight"], tensors.get("bias")).train(own.training)
        setattr(faster.get_submodule(parent), last, other)
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

    def __deepcopy__(self, memo: dict[int, Any]) -> "Winograd":
        """Return this layer: it never changes, and its transformed weights take four times the memory of others."""
        return self

    def forward(
        self, images: Float[Tensor, "batch inputs height width"]
    ) -> Float[Tensor, "batch outputs height width"]:
        """Convolve."""
        side = 2 if min(images.shape[2:]) < 4 else 4  # a large tile would be mostly empty on a small image
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
    down, across = -(-height // side), -(-width // side)
    values = products * down * across * max(inputs, outputs)
    room = max(_CACHED, weights.nbytes) // (values * weights.element_size())
    part = -(-batch // -(-batch // max(1, room)))  # of equal size: a small rest would cost as much as a whole part
    padded = images.new_zeros(part, down * side + 2, across * side + 2, inputs)
    buffers = images.new_empty(2, part * values)
    result = images.new_empty(batch, down * side, across * side, outputs)
    for images_of_part, result_of_part in zip(images.permute(0, 2, 3, 1).split(part), result.split(part), strict=True):
        size = len(images_of_part)
        padded[:size, 1 : height + 1, 1 : width + 1] = images_of_part
        _part(padded[:size], weights, side, result_of_part, buffers)
    return result[:, :height, :width].permute(0, 3, 1, 2)


def _part(
    padded: Float[Tensor, "batch height width inputs"],
    weights: _Weights,
    side: int,
    result: Float[Tensor, "batch down across outputs"],
    buffers: Float[Tensor, "2 values"],
) -> None:
    """Write the convolution of a few images into ``result``.

    The four arrays on the way take turns in two buffers, which stay in the cache.
    """
    products, inputs, outputs = weights.shape
    tiles = padded.unfold(1, side + 2, side).unfold(2, side + 2, side).permute(4, 5, 0, 1, 2, 3)
    count = tiles.shape[2:5].numel()
    first, second = (buffer[: products * count * inputs].view(products, -1) for buffer in buffers)
    third = buffers[0, : products * count * outputs].view(products, count, outputs)
    last = buffers[1, : side * side * count * outputs].view(side * side, -1)
    into, out = _both(side)
    first.view(tiles.shape).copy_(tiles)
    torch.mm(into, first, out=second)
    torch.bmm(second.view(products, count, inputs), weights, out=third)
    torch.mm(out, third.view(products, -1), out=last)
    batch, down, across = tiles.shape[2:5]
    found = last.view(side, side, batch, down, across, outputs).permute(2, 3, 0, 4, 1, 5)
    result.view(batch, down, side, across, side, outputs).copy_(found)


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

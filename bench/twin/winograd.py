"""A 3x3 convolution that takes a fourth of the multiplications.

Libraries of accelerators do this by themselves; the convolutions that torch has for processors do not.
"""

import threading
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bench.machine import LANES
from bench.twin.layer import plain
from bench.twin.transforms import WEIGHTS, Grid, transforms

LEAST_CHANNELS = 64
"""Below, moving the tiles costs more than the multiplications it saves (tests/benchmarks/PRUNING.md)."""
_FEW_TILES = 24
"""Large tiles that make it worth reading their weights, four times as many as those of the convolution."""
_CACHED = 1_000_000
"""Bytes of transformed tiles that stay in a core's cache. Where the weights take more, so may the tiles: each part
reads all weights once."""

_Weights = Float[Tensor, "products inputs outputs"]
_own = threading.local()


def eligible(module: nn.Module) -> bool:
    """Tell whether a module is a convolution that `Winograd` can take the place of, with gain."""
    return (
        plain(module, nn.Conv2d)
        and module.kernel_size == (3, 3)
        and (module.stride, module.dilation, module.groups) == ((1, 1), (1, 1), 1)
        and (module.padding, module.padding_mode) == ((1, 1), "zeros")
        and min(module.in_channels, module.out_channels) >= LEAST_CHANNELS
        and module.in_channels % LANES == module.out_channels % LANES == 0
    )


class Winograd(nn.Module):
    """A 3x3 convolution of stride one, padded by one, with frozen weights.

    Source: Lavin & Gray 2015, arXiv:1509.09308: F(4x4, 3x3), and F(2x2, 3x3) where there are few large tiles or images
    are smaller than one.
    Differs from the source: tiles pass in parts that fit a core's cache.
    """

    def __init__(self, weight: Float[Tensor, "outputs inputs 3 3"], bias: Tensor | None) -> None:
        super().__init__()
        self._weight = weight.detach()
        self._bias = weight.new_zeros(len(weight)) if bias is None else bias.detach().contiguous()
        self._ready: dict[int, tuple[Tensor, Tensor]] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> "Winograd":
        """Return this layer: it never changes, and its transformed weights take four times the memory of others."""
        return self

    def forward(
        self, images: Float[Tensor, "batch inputs height width"]
    ) -> Float[Tensor, "batch outputs height width"]:
        """Convolve."""
        height, width = images.shape[2:]
        large = len(images) * -(-height // 4) * -(-width // 4)
        side = 2 if large < _FEW_TILES or min(height, width) < 4 else 4
        if side not in self._ready:
            turned = self._weight.flip(2, 3).transpose(0, 1)
            self._ready[side] = _transformed(self._weight, side), _transformed(turned, side)
        result: Tensor = _Convolution.apply(images, *self._ready[side], self._bias, side)
        return result


class _Convolution(torch.autograd.Function):
    """The gradient with respect to images is a convolution with the turned weights; weights are frozen."""

    @staticmethod
    def forward(context: Any, images: Tensor, ahead: Tensor, back: Tensor, bias: Tensor, side: int) -> Tensor:
        context.back, context.side = back, side
        return _convolve(images, ahead, bias, side)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        back = context.back
        return _convolve(gradients[0], back, back.new_zeros(back.shape[2]), context.side), None, None, None, None


def _convolve(images: Tensor, weights: _Weights, bias: Float[Tensor, " outputs"], side: int) -> Tensor:
    """Convolve part by part; the result lies in memory with channels last."""
    batch, inputs, height, width = images.shape
    products, _, outputs = weights.shape
    down, across = -(-height // side), -(-width // side)
    count = batch * down * across
    most = max(_CACHED, weights.nbytes) // (products * max(inputs, outputs) * weights.element_size())
    part = -(-count // -(-count // max(1, most)))  # of equal size: a small rest would cost as much as a whole part
    source = images.permute(0, 2, 3, 1).contiguous()
    result = images.new_empty(batch, height, width, outputs)
    tiles, found = _buffers(part * products * inputs, part * products * outputs)
    border, transform = images.new_zeros(inputs), transforms(side)
    ahead, back = Grid(height, width, inputs, down, across), Grid(height, width, outputs, down, across)
    for first in range(0, count, part):
        some = range(first, min(first + part, count))
        taken = tiles[: len(some) * products * inputs].view(-1, products, inputs)
        given = found[: len(some) * products * outputs].view(-1, products, outputs)
        transform.into(source, border, taken, some, ahead)
        torch.bmm(taken.transpose(0, 1), weights, out=given.transpose(0, 1))
        transform.out(given, bias, result, some, back)
    return result.permute(0, 3, 1, 2)


def _buffers(*sizes: int) -> list[Tensor]:
    """Return memory that this thread uses again in every convolution: fresh memory costs as much as a transform."""
    kept: list[Tensor] = getattr(_own, "buffers", [torch.empty(0)] * len(sizes))
    _own.buffers = [
        buffer if len(buffer) >= size else torch.empty(size) for buffer, size in zip(kept, sizes, strict=True)
    ]
    return list(_own.buffers)


def _transformed(weight: Float[Tensor, "outputs inputs 3 3"], side: int) -> _Weights:
    """Return the weights of every product, in double precision until the last step."""
    left = torch.tensor(WEIGHTS[side], dtype=torch.float64)
    found = torch.einsum("ai,ocij,bj->abco", left, weight.double(), left)
    return found.reshape(len(left) ** 2, weight.shape[1], weight.shape[0]).float().contiguous()

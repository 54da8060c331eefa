"""The first layer of many networks: a strided convolution of images.

Its gradient is a convolution without a stride and a change of places, which processors are two times faster at.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from bench.twin.layer import plain

MOST_CHANNELS = 4
"""Of the images; with more the detour costs as much as it saves (tests/benchmarks/README.md)."""


def eligible(module: nn.Module) -> bool:
    """Tell whether a module is a convolution that `Strided` can take the place of, with gain."""
    return (
        plain(module, nn.Conv2d)
        and (module.dilation, module.groups, module.padding_mode) == ((1, 1), 1, "zeros")
        and isinstance(module.padding, tuple)
        and len({*module.kernel_size}) == len({*module.stride}) == len({*module.padding}) == 1
        and module.in_channels <= MOST_CHANNELS
        and 1 < module.stride[0] == module.kernel_size[0] - 2 * module.padding[0]
    )


class Strided(nn.Module):
    """A convolution with frozen weights whose kernel is its stride wide and twice its padding.

    With stride s and padding p, pixel s·i + a of the gradient takes tap a + p + s·d of the kernel from output i - d. So
    the s pixels a of each i are channels of one convolution over a few outputs, and move to their places afterwards.
    """

    def __init__(self, convolution: nn.Module) -> None:
        super().__init__()
        assert isinstance(convolution, nn.Conv2d)
        tensors = dict(convolution.named_parameters())
        self._weight, self._bias = tensors["weight"].detach(), tensors.get("bias")
        self._stride, padding = convolution.stride[0], int(convolution.padding[0])
        self._padding = padding
        self._back = _turned(self._weight, self._stride, padding)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Strided":
        """Return this layer: it never changes."""
        return self

    def forward(
        self, images: Float[Tensor, "batch inputs height width"]
    ) -> Float[Tensor, "batch outputs lower narrower"]:
        """Convolve."""
        if images.shape[2] % self._stride or images.shape[3] % self._stride:
            return functional.conv2d(images, self._weight, self._bias, self._stride, self._padding)
        settings = self._stride, self._padding
        result: Tensor = _Convolution.apply(images, self._weight, self._bias, self._back, settings)
        return result


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, images: Tensor, weight: Tensor, bias: Tensor | None, back: Tensor, settings: tuple[int, int]
    ) -> Tensor:
        context.back, context.stride = back, settings[0]
        return functional.conv2d(images, weight, bias, *settings)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        back = context.back
        found = functional.conv2d(gradients[0], back, padding=back.shape[2] // 2)
        return functional.pixel_shuffle(found, context.stride), None, None, None, None


def _turned(
    weight: Float[Tensor, "outputs inputs kernel kernel"], stride: int, padding: int
) -> Float[Tensor, "pixels outputs reach reach"]:
    """Return the kernel of the gradient; where no tap meets a pixel it is zero."""
    outputs, inputs, kernel, _ = weight.shape
    far = (stride - 1 + padding) // stride
    pixel, place = torch.arange(stride)[:, None], torch.arange(2 * far + 1)
    taps = pixel + padding + stride * (far - place)
    taps = torch.where((taps >= 0) & (taps < kernel), taps, kernel)
    room = functional.pad(weight, (0, 1, 0, 1))
    found = room[:, :, taps][..., taps]  # outputs, inputs, pixel, place, pixel, place
    return found.permute(1, 2, 4, 0, 3, 5).reshape(inputs * stride**2, outputs, len(place), len(place)).contiguous()

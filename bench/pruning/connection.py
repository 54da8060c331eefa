"""Which weights lie on a path from the image to the logits: what is left of a sparse network that can do anything."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

from bench.errors import ContractError
from bench.pruning.chance import uniform
from bench.pruning.cost import plain_attention
from bench.tensors import Images

_OPEN = frozenset(
    {
        "relu",
        "relu_",
        "relu6",
        "hardtanh",
        "hardtanh_",
        "threshold",
        "threshold_",
        "hardswish",
        "clamp",
        "clamp_",
        "clamp_min",
        "clamp_max",
        "clip",
        "gelu",
        "silu",
        "mish",
        "elu",
    }
)
"""Activations that map zero to zero and are flat somewhere, if only to the last digit; values pass as they are."""


class _NeverFlat(TorchFunctionMode):
    """Replaces what stops a gradient for some values only: whether it stops must not depend on the image."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation, or its replacement."""
        del types
        name, given = getattr(func, "__name__", ""), kwargs or {}
        if name in _OPEN:
            values = args[0] if args else given["input"]
            return values if name.endswith("_") else values.clone()
        if name in _INSTEAD:
            return _INSTEAD[name](*args, **given)
        return func(*args, **given)


def _mean_pool(
    input: Tensor,  # noqa: A002  the name torch gives it
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,  # noqa: FBT001, FBT002  torch passes it by position
    return_indices: bool = False,  # noqa: FBT001, FBT002
) -> Tensor:
    del dilation, return_indices
    return functional.avg_pool2d(input, kernel_size, stride, padding, ceil_mode)


def _soft_sign(values: Tensor) -> Tensor:
    """Return what saturates as tanh does, but slowly: its slope is above zero in floating point too."""
    return values / (1 + values.abs())


def _gate(values: Tensor, *_: Any, **__: Any) -> Tensor:
    return (1 + _soft_sign(values)) / 2


_INSTEAD: Mapping[str, Callable[..., Any]] = {
    "max_pool2d": _mean_pool,
    "adaptive_max_pool2d": lambda images, size, *_, **__: functional.adaptive_avg_pool2d(images, size),
    "sigmoid": _gate,
    "sigmoid_": _gate,
    "hardsigmoid": _gate,
    "tanh": _soft_sign,
    "tanh_": _soft_sign,
}


def connected(network: nn.Module, names: list[str], example: Images) -> dict[str, Tensor]:
    """Return per named weight where it is non-zero and lies on a path of non-zero weights from image to logits.

    A weight whose inputs are zero for every image, or whose output reaches no logit, is dead although it is not zero.
    Biases and shifts open no path, for what they carry is the same for every image; an affine scale of zero closes one.

    A path is where a gradient flows. In a copy of the network every weight is its absolute value over the sum of its
    row, so that sums of paths do not cancel and neither grow nor vanish in double precision; activations and pooling
    that are flat for some inputs are replaced by ones that never are.

    Source: effective compression, Vysogorets & Kempe 2023, arXiv:2107.02306; found as in synaptic flow,
    Tanaka et al. 2020, arXiv:2006.05467.
    """
    followed = _followed(network)
    weights = {name: followed.get_parameter(name).requires_grad_() for name in names}
    image = uniform(example[:1].numel(), seed=0, purpose="connection").view(example[:1].shape).to(example.device) + 1
    try:
        with torch.enable_grad(), plain_attention(), _NeverFlat():
            flow = followed(image).sum()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise ContractError(
            f"the paths of this network cannot be followed in double precision ({reason}); register its constants as "
            "buffers, and keep no number format in its code."
        ) from None
    if not flow.isfinite():
        raise ContractError("the paths of this network cannot be followed: their sum is not finite.")
    gradients = torch.autograd.grad(flow, list(weights.values()), materialize_grads=True)
    return {
        name: (weight.detach() != 0) & (gradient != 0)
        for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
    }


def _followed(network: nn.Module) -> nn.Module:
    followed = copy.deepcopy(network).double().eval().requires_grad_(requires_grad=False)
    for name, parameter in followed.named_parameters():
        if name.rpartition(".")[2].endswith("bias"):
            parameter.zero_()
        elif parameter.ndim > 1:
            row = parameter.abs().flatten(1)
            parameter.copy_(
                (row / row.sum(dim=1, keepdim=True).clamp_min(torch.finfo(row.dtype).tiny)).view_as(parameter)
            )
    for module in followed.modules():
        if isinstance(module, _BatchNorm):
            for name, still in module.named_buffers(recurse=False):
                still.fill_(1.0 if name == "running_var" else 0.0)
        affine = getattr(module, "weight", None)
        if isinstance(affine, nn.Parameter) and affine.ndim == 1:
            affine.copy_(affine != 0)
    return followed

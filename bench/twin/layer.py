"""What all layers of a twin take the place of."""

from typing import TypeGuard, TypeVar

import torch
from torch import nn

_Layer = TypeVar("_Layer", nn.Conv2d, nn.Linear)


def plain(module: nn.Module, kind: type[_Layer]) -> TypeGuard[_Layer]:
    """Tell whether a module is of this very type, on a processor, in float32."""
    return type(module) is kind and module.weight.device.type == "cpu" and module.weight.dtype is torch.float32

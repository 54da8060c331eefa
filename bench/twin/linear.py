"""A linear layer that reads its weights in the order in which a processor multiplies few images by them."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bench.twin.layer import plain

LEAST_WEIGHTS = 100_000
"""Below, a product takes no longer than the calls around it."""


def eligible(module: nn.Module) -> bool:
    """Tell whether a module is a linear layer that `Turned` can take the place of, with gain."""
    return plain(module, nn.Linear) and module.weight.numel() >= LEAST_WEIGHTS


class Turned(nn.Module):
    """A linear layer with frozen weights, kept in both orders: one for each direction."""

    def __init__(self, weight: Float[Tensor, "outputs inputs"], bias: Float[Tensor, " outputs"] | None) -> None:
        super().__init__()
        self._back = weight.detach()
        self._ahead = self._back.t().contiguous()
        self._bias = weight.new_zeros(len(weight)) if bias is None else bias.detach()

    def __deepcopy__(self, memo: dict[int, Any]) -> "Turned":
        """Return this layer: it never changes."""
        return self

    def forward(self, features: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """Multiply by the weights and add the bias."""
        rows = features.reshape(-1, features.shape[-1])
        result: Tensor = _Product.apply(rows, self._ahead, self._back, self._bias)
        return result.view(*features.shape[:-1], -1)


class _Product(torch.autograd.Function):
    """Both directions multiply matrices that lie in memory as they are read."""

    @staticmethod
    def forward(context: Any, rows: Tensor, ahead: Tensor, back: Tensor, bias: Tensor) -> Tensor:
        context.back = back
        return torch.addmm(bias, rows, ahead)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        return gradients[0] @ context.back, None, None, None

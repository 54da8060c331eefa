"""Watches which functions a network calls in a forward pass."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

GRADIENT_CALLS = frozenset({torch.autograd.grad, torch.autograd.backward, Tensor.backward})
"""What only a defence that optimises its own input calls in a forward pass."""

STEPS = frozenset({
    torch.round, torch.floor, torch.ceil, torch.trunc, torch.fix, torch.sign, torch.sgn, torch.heaviside,
    torch.bucketize, torch.argmax, torch.argmin, torch.gt, torch.ge, torch.lt, torch.le, torch.signbit,
    Tensor.round, Tensor.floor, Tensor.ceil, Tensor.trunc, Tensor.fix, Tensor.sign, Tensor.sgn, Tensor.heaviside,
    Tensor.argmax, Tensor.argmin, Tensor.gt, Tensor.ge, Tensor.lt, Tensor.le, Tensor.signbit,
    Tensor.__gt__, Tensor.__ge__, Tensor.__lt__, Tensor.__le__, torch.fake_quantize_per_tensor_affine,
})  # fmt: skip
"""Functions whose derivative is zero wherever it exists."""

_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool)


class Calls(TorchFunctionMode):
    """Collects the names of the functions of interest that are called while it is active."""

    def __init__(self, of_interest: Iterable[Any], *, casts: bool = False) -> None:
        super().__init__()
        self._of_interest = frozenset(of_interest)
        self._casts = casts
        self.seen: dict[str, int] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Note the call, then let it happen."""
        del types
        result = func(*args, **(kwargs or {}))
        if func in self._of_interest and _of_floats(args, func):
            self._note(getattr(func, "__name__", str(func)))
        elif self._casts and _cast_down(args, result):
            self._note("conversion to integers")
        return result

    def _note(self, name: str) -> None:
        name = name.strip("_")
        self.seen[name] = self.seen.get(name, 0) + 1


def _of_floats(args: tuple[Any, ...], func: Callable[..., Any]) -> bool:
    if func in GRADIENT_CALLS:
        return True
    return bool(args) and isinstance(args[0], Tensor) and args[0].is_floating_point()


def _cast_down(args: tuple[Any, ...], result: Any) -> bool:
    return (
        isinstance(result, Tensor)
        and result.dtype in _INTEGERS[:-1]
        and bool(args)
        and isinstance(args[0], Tensor)
        and args[0].is_floating_point()
        and args[0].shape == result.shape
    )

"""What a network costs: multiply-accumulates per image, and bytes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from bench.pruning.masks import evaluating
from bench.pruning.owners import Owners
from bench.tensors import Images, Operations


class _ByWeight(Operations):
    """Counts the operations of a forward pass, and attributes them to the weight whose memory they read."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # it brings triton, which takes as long to import as a tenth of torch: only what counts waits for it
        from torch.utils.flop_counter import flop_registry

        self._counts = flop_registry
        self._owners = Owners(weights)
        self.total = 0
        self.flops = dict.fromkeys(weights, 0)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation and file its count under the weight among its arguments, if there is one."""
        del types
        out = func(*args, **(kwargs or {}))
        count = self._counts.get(func.overloadpacket)
        if count is not None:
            flops = count(*args, **(kwargs or {}), out_val=out)
            self.total += flops
            found = next((owner for owner in map(self._owners.of, args) if owner is not None), None)
            if found is not None:
                self.flops[found.name] += flops
        return out


@contextmanager
def plain_attention() -> Iterator[None]:
    """Compute attention by plain matrix products: fused kernels hide their work from the counter."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def macs(network: nn.Module, weights: Mapping[str, Tensor], example: Images) -> tuple[int, dict[str, int]]:
    """Return the multiply-accumulates of one image: of the whole network, and of each weight.

    Products of activations with each other, as in attention, count in the whole alone.
    """
    counted = _ByWeight(weights)
    with evaluating(network), torch.no_grad(), plain_attention(), counted:
        network(example[:1])
    return counted.total // 2, {name: flops // 2 for name, flops in counted.flops.items()}


def plain(network: nn.Module) -> bytes:
    """Return the state as a safetensors file; tensors that share memory are written apart."""
    return save({name: tensor.detach().cpu().clone().contiguous() for name, tensor in network.state_dict().items()})

"""How many points an attack works on at once where the user does not say; verdicts do not depend on it."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.errors import UsageError
from bench.pruning.cost import macs
from bench.tensors import Images

_GIBIBYTE = 2**30
_MOST = 512
_LEAST = 16
_CACHED = 200_000
"""Numbers of an attack's images that stay in a core's cache with what is computed from them."""
_HEAVY = 32
"""Enough for a processor where the network takes nearly all of the time."""
_FILLING = 400_000_000_000
"""Multiply-accumulates that fill an accelerator; a processor is as fast with a hundredth."""
_RETURNED = 2**25
"""Bytes of a tensor beyond which the C library asks the system for new pages every time, which costs as much as the
products: EfficientNet-Lite0 takes 52 ms an image with its gradient in batches of 6, 88 ms in batches of 16."""
_COPIES = 16
"""Images that an attack keeps for each point, at most: iterates, gradients, moments."""
_ROOM = 0.8
"""Share of the memory at hand that batches may take; the rest is for what is computed in passing."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a network takes for one image.

    Attributes:
        macs: multiply-accumulates of a forward pass.
        numbers: of the image.
        kept: bytes of everything that waits for the gradient.
        largest: bytes of the largest tensor of that.
    """

    macs: int
    numbers: int
    kept: int
    largest: int

    @property
    def bytes(self) -> int:
        """Bytes that a point takes while it is attacked."""
        return self.kept + 2 * self.largest + _COPIES * 4 * self.numbers


def bytes_of(gibibytes: float | None) -> int | None:
    """Read a limit of memory as users say it.

    Raises:
        UsageError: if it is none.
    """
    if gibibytes is None:
        return None
    if not 0 < gibibytes < float("inf"):
        raise UsageError(f"memory is a number of gibibytes above 0, got {gibibytes}.")
    return int(gibibytes * _GIBIBYTE)


def footprint(network: nn.Module, image: Images, work: int | None = None) -> Footprint:
    """Measure what a network takes for one image, by a pass forward that keeps what the gradient needs.

    Args:
        network: on the device of the image.
        image: a batch of one.
        work: multiply-accumulates of a forward pass, where they are known.
    """
    own = {tensor.untyped_storage().data_ptr() for tensor in (*network.parameters(), *network.buffers())}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = network(image.detach().clone().requires_grad_())
    del logits
    work = macs(network, {}, image)[0] if work is None else work
    return Footprint(work, image[0].numel(), sum(kept.values()), max(kept.values(), default=0))


def automatic_batch(one: Footprint, device: torch.device, room: int | None = None) -> int:
    """Return how many points to attack at once.

    On a processor as many as stay in its cache and in pages that it has; on an accelerator as many as fill it, which
    the cascade halves where memory runs out all the same.

    Args:
        one: what the network takes for each.
        device: where it runs.
        room: bytes there for batches, as ``room_on`` tells; None where nobody counts them.

    Raises:
        UsageError: if there is no room for one image.
    """
    work = max(one.macs, 1)
    if device.type == "cpu":
        wanted = max(_LEAST, min(_MOST, _CACHED // one.numbers, max(_HEAVY, _FILLING // 100 // work)))
        wanted = min(wanted, max(1, _RETURNED // max(one.largest, 1)))
    else:
        wanted = max(_LEAST, min(_MOST, _FILLING // work))
    if room is None:
        return wanted
    if room < one.bytes:
        needed, left = one.bytes / _GIBIBYTE, max(room, 0) / _GIBIBYTE
        raise UsageError(
            f"one point takes {needed:.2f} GiB while it is attacked, and {left:.2f} GiB are left for it; grant more "
            "memory, or attack fewer points."
        )
    return min(wanted, room // one.bytes)


def room_on(device: torch.device, limit: int | None, besides: int) -> int | None:
    """Return the bytes that batches may take on a device; None on a processor without a limit.

    Where an accelerator works, the limit also binds PyTorch, so that what goes beyond it ends like memory that ran out.

    Args:
        device: where the network will run.
        limit: bytes that the run may take there, on a processor with the program itself; None takes what is free.
        besides: bytes that will lie there beside the batches.
    """
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        if limit is not None:
            torch.cuda.set_per_process_memory_fraction(min(1.0, limit / total), device)
            free = min(free, limit - torch.cuda.memory_reserved(device))
        return int(_ROOM * (free - besides))
    if limit is None:
        return None
    return int(_ROOM * (limit - _resident() - besides))


def _resident() -> int:
    """Return the bytes of memory that this program holds; nothing where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")

"""The compact encoding of a sparse state: a bit per weight and the values whose bit is set, bit for bit."""

import json
from collections.abc import Mapping

import numpy as np
import torch
import zstandard
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from bench.errors import ArtefactError

LEVEL = 3
MASK, VALUES, SHAPES = ".mask", ".values", "shapes"
LARGEST = 1 << 33
"""Bytes that a packed file may unfold to."""


def pack(state: Mapping[str, Tensor]) -> bytes:
    """Return a state as bit masks and non-zero values in one safetensors file, compressed with zstd.

    A value is left out where all its bits are zero, so negative zeros survive. Tensors without zeros are stored
    plainly.
    """
    parts: dict[str, Tensor] = {}
    shapes: dict[str, list[int]] = {}
    for name, tensor in state.items():
        value = tensor.detach().cpu().contiguous()
        present = _present(value)
        if bool(present.all()):
            parts[name] = value.clone()
            continue
        shapes[name] = list(value.shape)
        parts[name + MASK] = torch.from_numpy(np.packbits(present.numpy(), bitorder="little"))
        parts[name + VALUES] = value.flatten()[present]
    content = save(parts, metadata={SHAPES: json.dumps(shapes, sort_keys=True)})
    return zstandard.ZstdCompressor(level=LEVEL).compress(content)


def unpack(content: bytes) -> dict[str, Tensor]:
    """Return the state that was packed, bit for bit.

    Raises:
        ArtefactError: if the bytes are no packed state.
    """
    try:
        plain = zstandard.ZstdDecompressor().decompress(content, max_output_size=LARGEST)
        parts = load(plain)
        header = json.loads(plain[8 : 8 + int.from_bytes(plain[:8], "little")])
        shapes: dict[str, list[int]] = json.loads(header["__metadata__"][SHAPES])
        state = {name: part for name, part in parts.items() if not _belongs(name, shapes)}
        for name, shape in shapes.items():
            count = int(np.prod(shape))
            bits = np.unpackbits(parts[name + MASK].numpy(), count=count, bitorder="little")
            whole = torch.zeros(count, dtype=parts[name + VALUES].dtype)
            whole[torch.from_numpy(bits.astype(np.bool_))] = parts[name + VALUES]
            state[name] = whole.view(shape)
    except (zstandard.ZstdError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError, IndexError) as error:
        raise ArtefactError(f"expected a packed state (masks and values in safetensors, zstd), got: {error}.") from None
    return state


def _present(value: Tensor) -> Tensor:
    """Tell where any bit is set, in flat order."""
    return (value.flatten().view(torch.uint8).view(value.numel(), value.element_size()) != 0).any(dim=1)


def _belongs(name: str, shapes: Mapping[str, list[int]]) -> bool:
    return name.removesuffix(MASK) in shapes or name.removesuffix(VALUES) in shapes

"""Open, check and write files of weights; only safetensors are ever opened."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.atomic import write_atomic
from bench.errors import ArtefactError, InputError

PICKLED = frozenset({".pt", ".pth", ".th", ".bin", ".ckpt", ".pkl", ".pickle", ".tar", ".model"})
"""Endings of files that may run code when they are opened."""

_COUNTER = "num_batches_tracked"
"""Batch norm counts its training batches in this buffer; evaluation never reads it and many files lack it."""

_SHOWN = 3
"""How many mismatches a message names."""


def model_folder() -> Path:
    """Return the folder for weights placed by hand: ``BENCH_MODEL_DIR``, else one in the user's cache."""
    return Path(os.environ.get("BENCH_MODEL_DIR") or Path.home() / ".cache" / "prunebench" / "models")


def refuse_pickled(path: Path) -> None:
    """Refuse a file by its name, before anything opens it.

    Raises:
        ArtefactError: if its ending is one of the kinds that may run code, saying how to convert it.
    """
    if path.suffix.lower() in PICKLED:
        raise ArtefactError(
            f"{str(path)!r} is not opened, for a pickled file may run code; if you trust it, convert it first: "
            f"bench convert {path} {path.with_suffix('.safetensors')}."
        )


def read(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file.

    Raises:
        InputError: if there is no such file.
        ArtefactError: if it is of a kind that is not opened, or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    refuse_pickled(path)
    if path.suffix != ".safetensors":
        raise ArtefactError(f"{str(path)!r} is not opened; weights are files that end in .safetensors.")
    try:
        return load(path.read_bytes())
    except (OSError, MemoryError) as error:
        raise InputError(f"No weights can be read from {str(path)!r}: {_reason(error)}.") from None
    except (SafetensorError, ValueError, KeyError) as error:
        raise ArtefactError(
            f"{str(path)!r} is no valid safetensors file: {error}; fetch or convert it again."
        ) from None


def file_digest(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fill(network: nn.Module, tensors: Mapping[str, Tensor], *, where: str, what: str) -> None:
    """Put every tensor into its place in ``network``; names, shapes and types must agree.

    ``where`` names the weights and ``what`` the architecture, for messages.

    Raises:
        ArtefactError: naming the first tensors that do not fit.
    """
    wanted = network.state_dict()
    problems = [f"{name!r} is missing" for name in wanted if name not in tensors and not name.endswith(_COUNTER)]
    problems += [f"{name!r} has no place" for name in tensors if name not in wanted]
    for name in wanted.keys() & tensors.keys():
        problems += _misfits(name, wanted[name], tensors[name])
    if problems:
        raise misfit(where, what, problems)
    network.load_state_dict({**wanted, **tensors}, strict=True)


def misfit(where: str, what: str, problems: list[str]) -> ArtefactError:
    """Return the error for weights that are not those of an architecture."""
    shown = "; ".join(sorted(problems)[:_SHOWN])
    more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return ArtefactError(
        f"{where} does not hold the weights of {what}: {shown}{more}. Name the architecture that they belong to."
    )


def _misfits(name: str, wanted: Tensor, found: Tensor) -> list[str]:
    if wanted.shape != found.shape:
        return [f"{name!r} should have shape {tuple(wanted.shape)}, got {tuple(found.shape)}"]
    exact = torch.promote_types(wanted.dtype, found.dtype) == wanted.dtype
    if not exact or wanted.is_floating_point() != found.is_floating_point():
        return [f"{name!r} should be {_spelled(wanted)}, got {_spelled(found)}"]
    return []


def _spelled(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def save(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file, all of it or nothing.

    Raises:
        BenchError: if the disk is full or the place cannot be written.
    """
    from safetensors.torch import save as serialise

    write_atomic(
        path, serialise({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()})
    )


def _reason(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__

"""Open, check and write files of weights; only safetensors are ever opened."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.atomic import write_atomic
from bench.errors import ArtefactError, ContractError, InputError
from bench.header import read_header
from bench.models.mending import explain, misfit, misshapen

PICKLED = frozenset({".pt", ".pth", ".th", ".bin", ".ckpt", ".pkl", ".pickle", ".tar", ".model"})
"""Endings of files that may run code when they are opened."""

_RESERVED = "__metadata__"
"""Under this name a safetensors file keeps words about itself."""

_TOLD = "prunebench"
"""The entry of those words in which a conversion is recorded; one alone, for the format orders several at random."""

_HELD = frozenset({
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32,
    torch.uint64, torch.float16, torch.bfloat16, torch.float32, torch.float64,
})  # fmt: skip
"""Types of which every number is one number, and not a code that a scale elsewhere gives a meaning."""


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
        content = path.read_bytes()
        read_header(content, repr(str(path)))
        return load(content)
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
        ArtefactError: naming the first tensors that do not fit, and the flag that mends it.
        ContractError: if a number is not finite.
    """
    wanted = network.state_dict()
    problem = explain(tensors, wanted, where=where, what=what)
    if problem is not None:
        raise problem
    for name, tensor in tensors.items():
        refuse_numbers(name, tensor, where)
    problems = [problem for name in sorted(tensors) for problem in _misfits(name, wanted[name], tensors[name])]
    if problems:
        raise misfit(where, what, problems, _recast(tensors, wanted, where))
    refuse_infinite(tensors, where)
    network.load_state_dict({**wanted, **tensors}, strict=True)


def refuse_infinite(tensors: Mapping[str, Tensor], where: str) -> None:
    """Refuse weights that are not finite.

    Raises:
        ContractError: naming the first.
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ContractError(f"{where}: tensor {name!r} holds NaN or infinity; such a model gives no number.")


def refuse_names(names: Iterable[str], where: str) -> None:
    """Refuse a name that a file of weights cannot hold.

    Raises:
        ArtefactError: if there is one.
    """
    for name in names:
        if name == _RESERVED or not name.strip("."):
            kind = "the format keeps for itself" if name == _RESERVED else "is empty"
            raise ArtefactError(
                f"{where}: a tensor is called {name!r}, a name that {kind}; leave it out with --drop or rename it."
            )


def refuse_numbers(name: str, tensor: Tensor, where: str) -> None:
    """Refuse a tensor whose numbers are not plain: absent, laid out sparsely, quantised, complex or coded.

    Raises:
        ArtefactError: saying what it is and what to save instead.
    """
    kind = spelled(tensor)
    if tensor.is_meta:
        says = "is a meta tensor, which has a shape and no numbers; save the network once its weights are loaded"
    elif tensor.is_quantized or kind.startswith(("qint", "quint")):
        says = f"is quantised ({kind}), which is another network than the one attacks can follow; save it in float32"
    elif tensor.layout != torch.strided:
        layout = str(tensor.layout).removeprefix("torch.")
        says = f"is a sparse tensor or laid out otherwise ({layout}); save tensor.to_dense() in its place"
    elif tensor.is_complex():
        says = f"is complex ({kind}), and networks here compute in real numbers; save its real weights"
    elif tensor.dtype not in _HELD:
        says = f"is of type {kind}, whose scale is not in the tensor; save it widened to float32 by the code that knows"
    else:
        return
    raise ArtefactError(f"{where}: {name!r} {says}.")


def _recast(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], where: str) -> str | None:
    if any(tensor.dtype == torch.float64 and wanted[name].dtype == torch.float32 for name, tensor in tensors.items()):
        return f"`bench convert {where} NEW.safetensors` writes float32, says so and records it"
    return None


def _misfits(name: str, wanted: Tensor, found: Tensor) -> list[str]:
    if wanted.shape != found.shape:
        return [misshapen(name, wanted, found)]
    exact = torch.promote_types(wanted.dtype, found.dtype) == wanted.dtype
    if not exact or wanted.is_floating_point() != found.is_floating_point():
        return [f"{name!r} should be {spelled(wanted)}, got {spelled(found)}"]
    return []


def spelled(tensor: Tensor) -> str:
    """Return the type of a tensor's numbers as people write it."""
    return str(tensor.dtype).removeprefix("torch.")


def save(path: Path, tensors: Mapping[str, Tensor], *, told: str = "") -> None:
    """Write a safetensors file, all of it or nothing; ``told`` says what was done to get these tensors.

    Raises:
        BenchError: if the disk is full or the place cannot be written.
    """
    from safetensors.torch import save as serialise

    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    write_atomic(path, serialise(plain, {_TOLD: told} if told else None))


def history(path: Path) -> str:
    """Return what a file of weights says about its conversion, empty where it says nothing."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return (file.metadata() or {}).get(_TOLD, "")


def _reason(error: BaseException) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__

"""Turn an old pickled checkpoint into safetensors without running what is in it."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import Tensor

from bench.errors import ArtefactError, InputError, UsageError
from bench.models.weights import save

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
"""Keys under which training scripts keep the state dict beside epochs and optimisers."""

_PARALLEL = "module."
"""``DataParallel`` puts this before every name."""


def convert(old: Path, new: Path, *, key: str | None = None, strip: str | None = None) -> dict[str, Tensor]:
    """Write the state dict in ``old`` to ``new`` and return it.

    ``key`` names the entry that holds the state dict where it is not one of the usual ones; ``strip`` is a prefix to
    cut from every name.

    Raises:
        InputError: if there is no such file.
        ArtefactError: if the file needs more than plain tensors to be opened, or holds no state dict.
    """
    if new.suffix != ".safetensors":
        raise UsageError(f"{str(new)!r} should end in .safetensors.")
    tensors = _state(_open(old), old.name, key)
    names = _renamed(list(tensors), strip)
    state = {name: tensor.detach().contiguous() for name, tensor in zip(names, tensors.values(), strict=True)}
    save(new, state)
    return state


def _open(old: Path) -> object:
    if not old.is_file():
        raise InputError(f"There is no file {str(old)!r} to convert.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch remarks on old formats, and the user cannot help the file's age
            return torch.load(old, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - a hostile or broken file makes torch.load raise anything
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ArtefactError(
            f"{old.name!r} holds more than plain tensors or is damaged, so it is not opened ({reason}); "
            "save its state_dict alone and convert that."
        ) from None


def _state(content: object, where: str, key: str | None) -> dict[str, Tensor]:
    if key is not None:
        if not isinstance(content, Mapping) or key not in content:
            raise ArtefactError(f"{where!r} has no entry {key!r}; it holds {_inventory(content)}.")
        content = content[key]
    elif isinstance(content, Mapping) and not _is_state(content):
        wrapped = [name for name in _WRAPPERS if _is_state(content.get(name))]
        if len(wrapped) != 1:
            raise ArtefactError(
                f"{where!r} holds {_inventory(content)}; say with --key which entry is the state dict to convert."
            )
        content = content[wrapped[0]]
    if not _is_state(content):
        raise ArtefactError(f"{where!r} holds {_inventory(content)}, expected a state dict of named tensors.")
    odd = [name for name, tensor in content.items() if tensor.layout != torch.strided or tensor.is_quantized]
    if odd:
        raise ArtefactError(f"{where!r}: {odd[0]!r} is a sparse or quantised tensor, which safetensors cannot hold.")
    return dict(content)


def _is_state(content: object) -> TypeGuard[Mapping[str, Tensor]]:
    return (
        isinstance(content, Mapping)
        and bool(content)
        and all(isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in content.items())
    )


def _inventory(content: Any) -> str:
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    entries = [f"{name!r} ({type(entry).__name__})" for name, entry in content.items()]
    return ", ".join(entries[:6]) + (f" and {len(entries) - 6} more" if len(entries) > 6 else "") or "nothing"


def _renamed(names: list[str], strip: str | None) -> list[str]:
    if all(name.startswith(_PARALLEL) for name in names):
        names = [name.removeprefix(_PARALLEL) for name in names]
    if strip is None:
        return names
    without = [name for name in names if not name.startswith(strip)]
    if without:
        raise UsageError(f"--strip {strip!r} does not go with {without[0]!r}; every name must begin with it.")
    return [name.removeprefix(strip) for name in names]

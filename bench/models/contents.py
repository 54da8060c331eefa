"""Which entry of a checkpoint is the state dict of the network."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from bench.errors import ArtefactError
from bench.models.naming import some

_USUAL = frozenset({
    "state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "params", "state_dict_ema",
    "model_ema", "ema", "ema_state_dict", "ema_model", "module",
})  # fmt: skip
"""Entries in which training scripts keep weights; one that stands alone is taken unasked, every other must be named."""

_DEPTH = 3
_SHOWN = 6


def state_dict(content: object, where: str, key: str | None) -> tuple[dict[Any, Any], str]:
    """Return the state dict of a checkpoint and the path of its entry, empty where the checkpoint is one itself.

    ``key`` is that path, entries inside entries joined by ``/``, places of a list as numbers from 0.

    Raises:
        ArtefactError: if there is none, or several of which none is named.
    """
    if key is not None:
        chosen = _entry(content, where, key)
        inside = dict(_state_dicts(chosen))
        if list(inside) != [""]:
            hint = f"; name one of {_listed(inside, key)} with --key" if inside else ""
            raise ArtefactError(
                f"{where!r}: entry {key!r} holds {_inventory(chosen)}, expected a state dict of named tensors{hint}."
            )
        return dict(inside[""]), key
    found = dict(_state_dicts(content))
    if len(found) > 1:
        raise ArtefactError(
            f"{where!r} holds {len(found)} state dicts, {_listed(found)}; say with --key which one to convert."
        )
    if not found:
        raise ArtefactError(f"{where!r} holds {_inventory(content)}, expected a state dict of named tensors.")
    ((path, state),) = found.items()
    if path and path.partition("/")[0] not in _USUAL:
        raise ArtefactError(
            f"{where!r} holds {_inventory(content)}; say with --key {path} that this is the state dict to convert."
        )
    return dict(state), path


def _entry(content: object, where: str, key: str) -> object:
    if isinstance(content, Mapping) and key in content:
        return content[key]
    entry = content
    for part in key.split("/"):
        inside = _entries(entry)
        if part not in inside:
            raise ArtefactError(f"{where!r} has no entry {key!r}; it holds {_inventory(content)}.")
        entry = inside[part]
    return entry


def _entries(content: object) -> Mapping[Any, Any]:
    """Return what is inside an entry by name; places of a list, which cascades are kept in, count from 0."""
    if isinstance(content, list | tuple):
        return {str(place): entry for place, entry in enumerate(content)}
    return content if isinstance(content, Mapping) else {}


def _state_dicts(content: object, path: str = "", depth: int = 0) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every mapping that is mostly named tensors, innermost first and never one inside another."""
    if depth > _DEPTH:
        return
    inner = [
        found
        for key, entry in _entries(content).items()
        if isinstance(key, str) and isinstance(entry, Mapping | list | tuple)
        for found in _state_dicts(entry, f"{path}/{key}".lstrip("/"), depth + 1)
    ]
    if inner:
        yield from inner
    if inner or not isinstance(content, Mapping):
        return
    tensors = [entry for entry in content.values() if isinstance(entry, Tensor)]
    if 2 * len(tensors) > len(content) and any(tensor.ndim for tensor in tensors):
        yield path, content


def _listed(found: Mapping[str, Mapping[str, Any]], inside: str = "") -> str:
    paths = {f"{inside}/{path}".strip("/"): state for path, state in found.items()}
    return ", ".join(f"{path!r} ({len(state)} entries)" for path, state in paths.items())


def _inventory(content: Any) -> str:
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    entries = [f"{name!r} ({type(entry).__name__})" for name, entry in content.items()]
    return some(entries, _SHOWN) or "nothing"

"""Turn a checkpoint of anyone's making into safetensors that load strictly, without running what is in it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.errors import ArtefactError, UsageError
from bench.models.contents import state_dict
from bench.models.fit import assemble
from bench.models.folding import fold
from bench.models.mending import shapes_of
from bench.models.naming import Changes, patterns, some, suggest, unwrapped
from bench.models.pickled import open_pickled
from bench.models.source import architecture, sized
from bench.models.weights import read, refuse_names, refuse_numbers, save, spelled

_PARALLEL = "module."
"""``DataParallel`` puts this before every name."""

_OURS = ("model.", "net.", "network.", "backbone.", "encoder.", "module.")
"""Prefixes that a wrapper of the user's own leaves behind: told where every name has one, and cut on request."""


@dataclass(frozen=True, slots=True)
class Converted:
    """What was written.

    Attributes:
        told: one sentence for everything that is not as it stood in the old file; the new one records them.
        hints: what may have to be done yet.
    """

    tensors: dict[str, Tensor]
    told: tuple[str, ...]
    hints: tuple[str, ...] = ()


def convert(
    old: Path,
    new: Path,
    *,
    key: str | None = None,
    changes: Changes | None = None,
    kept: float | None = None,
    arch: str | None = None,
) -> Converted:
    """Write the state dict in ``old``, pickled or safetensors, to ``new``: float32, and named as ``changes`` say.

    ``key`` is the entry that holds the state dict; ``kept`` the share of each layer that HYDRA's scores keep. With
    ``arch`` the prefix is found by comparing names, and nothing is written unless every tensor has its place.

    Raises:
        InputError: if there is no such file.
        ArtefactError: if the file needs more than plain tensors to be opened, holds no state dict, or does not fit.
        UsageError: if a flag does not go with the file.
    """
    if new.suffix != ".safetensors":
        raise UsageError(f"{str(new)!r} should end in .safetensors.")
    content: object = read(old) if old.suffix == ".safetensors" else open_pickled(old)
    entries, path = state_dict(content, old.name, key)
    told = [f"taken from the entry {path!r}"] if path else []
    wanted, where = changes or Changes(), repr(old.name)
    wanted = replace(wanted, strip=unwrapped(wanted.strip))
    tensors = _dropped(entries, wanted, where, told)
    for name, tensor in tensors.items():
        refuse_numbers(name, tensor, where)
    tensors, folded = fold(_unwrapped(tensors, wanted.strip, where, told), kept)
    tensors = _renamed(tensors, _settled(tensors, wanted, arch), where, told)
    told += folded
    tensors = _plain(tensors, told)
    refuse_names(tensors, where)
    if arch is not None:
        assemble(sized(arch, shapes_of(tensors)), tensors, where=where)
    save(new, tensors, told="; ".join(told))
    return Converted(tensors, tuple(told), tuple(_hints(tensors) if arch is None else ()))


def _dropped(entries: Mapping[Any, Any], changes: Changes, where: str, told: list[str]) -> dict[str, Tensor]:
    odd = [key for key in entries if not isinstance(key, str)]
    if odd:
        raise ArtefactError(f"{where}: the key {odd[0]!r} is no name; a state dict maps names to tensors.")
    out = changes.dropped(entries)
    strange = [name for name, entry in entries.items() if name not in out and not isinstance(entry, Tensor)]
    if strange:
        kind = type(entries[strange[0]]).__name__
        flags = Changes(drop=patterns(strange, entries.keys() - set(strange)))
        raise ArtefactError(f"{where}: {strange[0]!r} ({kind}) stands among the tensors and is none; add `{flags}`.")
    if out:
        told.append(f"left out {some([repr(name) for name in sorted(out)])}")
    return {name: tensor for name, tensor in entries.items() if name not in out}


def _unwrapped(tensors: Mapping[str, Tensor], strip: str, where: str, told: list[str]) -> dict[str, Tensor]:
    """Cut what torch's own wrappers put into names, in whatever order they were put on, unless ``strip`` names it."""
    pairs = [(unwrapped(name), tensor) for name, tensor in tensors.items()]
    while pairs and not strip.startswith(_PARALLEL) and all(name.startswith(_PARALLEL) for name, _ in pairs):
        pairs = [(name.removeprefix(_PARALLEL), tensor) for name, tensor in pairs]
    told += ["torch's wrappers cut from names"] if [name for name, _ in pairs] != list(tensors) else []
    return _unique(pairs, where)


def _unique(pairs: list[tuple[str, Tensor]], where: str) -> dict[str, Tensor]:
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if twice:
        raise ArtefactError(f"{where}: two tensors would be called {twice[0]!r}; leave one out with --drop.")
    return dict(pairs)


def _settled(tensors: Mapping[str, Tensor], changes: Changes, arch: str | None) -> Changes:
    """Return the changes asked for, with the prefix that an architecture's names show where none is given.

    Raises:
        UsageError: if the network is there more than once.
    """
    if arch is None or changes.strip:
        return changes
    wanted = architecture(arch).shapes().keys()
    found = [changes.renamed(name) for name in tensors]
    ways = suggest(found, wanted)
    if len(ways) > 1:
        raise UsageError(
            f"the tensors of {arch!r} stand there {len(ways)} times; add {' or '.join(f'`{way}`' for way in ways)}."
        )
    return replace(changes, strip=ways[0].strip) if ways and not ways[0].drop else changes


def _renamed(tensors: Mapping[str, Tensor], changes: Changes, where: str, told: list[str]) -> dict[str, Tensor]:
    if changes.strip:
        told.append(f"cut {changes.strip!r} from names")
    told += [f"renamed {old!r} to {new!r}" for old, new in changes.rename]
    renamed = [(changes.renamed(name), tensor) for name, tensor in tensors.items()]
    idle = [
        old
        for old, new in changes.rename
        if all(Changes(rename=((old, new),)).renamed(name) == name for name in tensors)
    ]
    if idle:
        raise UsageError(f"--rename {idle[0]!r} meets no name; a part is what stands between dots.")
    return _unique(renamed, where)


def _plain(tensors: Mapping[str, Tensor], told: list[str]) -> dict[str, Tensor]:
    """Return the same numbers row by row, in float32 where they are no integers."""
    out, counts, lost = {}, Counter[str](), 0
    strided = [name for name, tensor in tensors.items() if not tensor.is_contiguous()]
    for name, tensor in tensors.items():
        out[name] = tensor.detach().resolve_neg().contiguous()
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            counts[spelled(tensor)] += 1
            out[name] = out[name].float()
            if not out[name].isfinite().all() and tensor.isfinite().all():
                raise ArtefactError(f"{name!r} holds numbers that float32 cannot hold, such as {tensor.abs().max():g}.")
            lost += int(((out[name] == 0) & (tensor != 0)).sum())
    told += [f"{_count(count, 'tensor')} of {kind} written as float32" for kind, count in counts.items()]
    told += (
        [f"{_count(len(strided), 'tensor')} not stored row by row, such as {strided[0]!r}, written so"]
        if strided
        else []
    )
    told += [f"{_count(lost, 'number')} too small for float32 became zero"] if lost else []
    return out


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _hints(tensors: Mapping[str, Tensor]) -> list[str]:
    """Tell of prefixes that only the architecture could tell to be none of its own."""
    for prefix in _OURS:
        without = [name for name in tensors if not name.startswith(prefix)]
        if not without:
            return [f"every name begins with {prefix!r}; if the network's own do not, add `--strip {prefix}`"]
        if len(without) <= max(len(tensors) // 10, 3) < len(tensors) - len(without):
            flags = Changes(drop=patterns(without, tensors.keys() - set(without)), strip=prefix)
            return [f"every name but {len(without)} begins with {prefix!r}; if those are no part of it, add `{flags}`"]
    return []

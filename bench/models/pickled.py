"""Open a pickled checkpoint of plain tensors, and tell without running it what else a refused one holds."""

import io
import pickletools
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from bench.errors import ArtefactError, InputError
from bench.models.naming import some

_MAKERS = {"copyreg._reconstructor", "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"}
"""Functions that make an instance of the class that is their first argument."""

_PREAMBLE = ("magic number", "protocol", "machine", "content")
"""The pickles that stand in this order in a file of the format before torch 1.6."""

_SCALARS = {"numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"}


def open_pickled(path: Path) -> object:
    """Return what a checkpoint holds, if that is tensors in plain containers.

    Raises:
        InputError: if there is no such file.
        ArtefactError: if it needs more to be opened, naming the types and where they stand, or is damaged.
    """
    if not path.is_file():
        raise InputError(f"There is no file {str(path)!r} to convert.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch remarks on old formats, and the user cannot help the file's age
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - a hostile or broken file makes torch.load raise anything
        raise ArtefactError(_refusal(path, error)) from None


def _refusal(path: Path, error: Exception) -> str:
    name = repr(path.name)
    try:
        unsafe = _unsafe(path, str(error))
        places = list(_places(_root(path), unsafe))
    except Exception:  # noqa: BLE001 - the same file that torch.load could not read
        unsafe, places = set(), []
    if "TorchScript" in str(error):
        return f"{name} is a TorchScript archive; open it with torch.jit.load, and save its state_dict() alone."
    if places and not places[0][0]:
        return (
            f"{name} is a whole pickled {places[0][1]}, which only the code of its class can open; "
            "open it where that code is, and save its state_dict() alone."
        )
    if not unsafe:
        lines = [line for line in re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines() if line.strip()]
        reason = (lines or [type(error).__name__])[0].strip().rstrip(".")
        return (
            f"{name} holds more than plain tensors or is damaged, so it is not opened ({reason}); "
            "save its state_dict alone and convert that."
        )
    told = [f"{place}: {kind}" for place, kind in places] or sorted(unsafe)
    return (
        f"{name} holds more than plain tensors, so it is not opened ({some(told, between='; ')}); where you trust it, "
        "load it with weights_only=False, save its state_dict alone, and convert that."
    )


def _unsafe(path: Path, error: str) -> set[str]:
    """Return the classes and functions that torch refuses; of a file in the format before 1.6 the first alone."""
    if zipfile.is_zipfile(path):
        return {_canonical(name) for name in torch.serialization.get_unsafe_globals_in_checkpoint(path)}
    found = re.search(r"Unsupported global: GLOBAL (\S+) was not", error)
    return {_canonical(found[1])} if found else set()


@dataclass(slots=True)
class _Global:
    """A class or function named in a pickle; it is never looked up."""

    name: str


@dataclass(slots=True)
class _Made:
    """What a call in a pickle would return; it is never called."""

    maker: object
    arguments: object
    state: object = None


@dataclass(slots=True)
class _Pairs:
    """A dictionary in a pickle, as pairs, for keys may be anything."""

    pairs: list[tuple[object, object]] = field(default_factory=list)


def _root(path: Path) -> object:
    """Return the outermost object of a checkpoint as a tree in which nothing was looked up or called."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            return [_Reader().read(file) for _ in _PREAMBLE][-1]
    with zipfile.ZipFile(path) as archive:
        pickled = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        return _Reader().read(io.BytesIO(archive.read(pickled)))


class _Reader:
    """Follows the stack of a pickle with inert stand-ins."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def read(self, pickled: io.BytesIO | io.BufferedReader) -> object:
        for code, argument, _ in pickletools.genops(pickled):
            if code.name in {"PROTO", "FRAME", "STOP"}:
                continue
            act = _ACTS.get(code.name)
            if act is not None:
                act(self, argument)
            elif code.name in _EMPTY:
                self._stack.append(_EMPTY[code.name]())
            elif code.name in _CONSTANTS:
                self._stack.append(_CONSTANTS[code.name])
            elif argument is not None:
                self._stack.append(argument)
            else:
                raise ValueError(code.name)
        return self._stack[-1]

    def mark(self, _: object) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def marked(self) -> list[Any]:
        items, self._stack = self._stack, self._marks.pop()
        return items

    def take(self, count: int) -> list[Any]:
        items, self._stack = self._stack[-count:], self._stack[:-count]
        return items

    def pop(self, _: object) -> None:
        self.take(1)

    def pop_marked(self, _: object) -> None:
        self.marked()

    def repeat(self, _: object) -> None:
        self._stack.append(self._stack[-1])

    def put(self, key: int | None) -> None:
        self._memo[len(self._memo) if key is None else key] = self._stack[-1]

    def get(self, key: int) -> None:
        self._stack.append(self._memo[key])

    def tuples(self, count: int | None) -> None:
        items = self.marked() if count is None else self.take(count)
        self._stack.append(tuple(items))

    def fill_list(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, list):
            target.extend(items)
        else:
            self._stack[-1].state = items

    def fill_pairs(self, items: list[Any]) -> None:
        target, pairs = self._stack[-1], list(zip(items[::2], items[1::2], strict=True))
        if isinstance(target, _Pairs):
            target.pairs.extend(pairs)
        else:  # an OrderedDict or another call that is filled afterwards
            target.state = _Pairs([*getattr(target.state, "pairs", []), *pairs])

    def call(self, _: object) -> None:
        maker, arguments = self.take(2)
        self._stack.append(_Made(maker, arguments))

    def build(self, _: object) -> None:
        (state,) = self.take(1)
        target = self._stack[-1]
        if isinstance(target, _Made) and target.state is None:
            target.state = state

    def named(self, argument: str | None) -> None:
        module, name = self.take(2) if argument is None else argument.split(" ", 1)
        self._stack.append(_Global(_canonical(f"{module}.{name}")))

    def persistent(self, _: object) -> None:
        self.take(1)
        self._stack.append(None)


_EMPTY: dict[str, Callable[[], object]] = {
    "EMPTY_LIST": list,
    "EMPTY_DICT": _Pairs,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": list,
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_ACTS: dict[str, Callable[[_Reader, Any], None]] = {
    "MARK": _Reader.mark,
    "POP": _Reader.pop,
    "POP_MARK": _Reader.pop_marked,
    "DUP": _Reader.repeat,
    "TUPLE": lambda reader, _: reader.tuples(None),
    "TUPLE1": lambda reader, _: reader.tuples(1),
    "TUPLE2": lambda reader, _: reader.tuples(2),
    "TUPLE3": lambda reader, _: reader.tuples(3),
    "APPEND": lambda reader, _: reader.fill_list(reader.take(1)),
    "APPENDS": lambda reader, _: reader.fill_list(reader.marked()),
    "ADDITEMS": lambda reader, _: reader.fill_list(reader.marked()),
    "SETITEM": lambda reader, _: reader.fill_pairs(reader.take(2)),
    "SETITEMS": lambda reader, _: reader.fill_pairs(reader.marked()),
    "REDUCE": _Reader.call,
    "NEWOBJ": _Reader.call,
    "BUILD": _Reader.build,
    "GLOBAL": _Reader.named,
    "STACK_GLOBAL": _Reader.named,
    "BINPERSID": _Reader.persistent,
    "PUT": lambda reader, key: reader.put(int(key)),
    "BINPUT": _Reader.put,
    "LONG_BINPUT": _Reader.put,
    "MEMOIZE": lambda reader, _: reader.put(None),
    "GET": lambda reader, key: reader.get(int(key)),
    "BINGET": _Reader.get,
    "LONG_BINGET": _Reader.get,
}
"""What an opcode does to the stack; those that are not here push their argument, and anything else is given up."""


def _canonical(name: str) -> str:
    return name.replace("__builtin__.", "builtins.", 1).replace("copy_reg.", "copyreg.", 1)


def _places(node: object, unsafe: set[str], place: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, str]]:
    """Yield where refused types stand, as ``--key`` would spell it, with the type."""
    seen = set() if seen is None else seen
    if isinstance(node, list | tuple | _Pairs | _Made):
        if id(node) in seen:
            return
        seen.add(id(node))
    match node:
        case _Global(name) if name in unsafe:
            yield place, name
        case _Made():
            kind = _kind(node)
            if kind in unsafe or (isinstance(node.maker, _Global) and node.maker.name in unsafe):
                yield place, kind
            else:
                yield from _places(node.arguments, unsafe, place, seen)
                yield from _places(node.state, unsafe, place, seen)
        case _Pairs(pairs):
            for key, entry in pairs:
                yield from _places(entry, unsafe, f"{place}/{_spelled(key)}".lstrip("/"), seen)
        case list() | tuple():
            for index, entry in enumerate(node):
                yield from _places(entry, unsafe, f"{place}[{index}]" if isinstance(node, list) else place, seen)


def _kind(made: _Made) -> str:
    """Return the type of what a call returns, as its user knows it."""
    name = made.maker.name if isinstance(made.maker, _Global) else "an unnamed call"
    arguments = made.arguments if isinstance(made.arguments, tuple) else ()
    first = arguments[0] if arguments else None
    if name in _MAKERS and isinstance(first, _Global):
        return first.name
    if name in _SCALARS and isinstance(first, _Made) and isinstance(first.arguments, tuple) and first.arguments:
        return _scalar(str(first.arguments[0]))
    return name


def _scalar(code: str) -> str:
    import numpy as np

    try:
        return f"numpy.{np.dtype(code).name}"
    except TypeError:
        return "a numpy scalar"


def _spelled(key: object) -> str:
    return str(key) if isinstance(key, str | int) else "?"

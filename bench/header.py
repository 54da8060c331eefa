"""Reads what a safetensors file says of itself, strictly, before anything of its numbers is touched."""

import json
import re
from collections.abc import Iterable, Mapping
from math import prod
from typing import Any, NamedTuple

from bench.errors import ArtefactError

BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "F64": 64, "I64": 64, "U64": 64, "C64": 64, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
}  # fmt: skip
"""Types of numbers that the format knows and torch reads, with their sizes."""
_WORDS = "__metadata__"
_LENGTH = 8
"""Bytes in front that say how long the header is."""
_MOST = 16 * 2**20
"""Bytes of a header; a network of ten thousand tensors takes two million."""
_TENSORS = 20_000
_AXES = 16
_NAME = 1000
"""Characters of a name of a tensor; a module of twenty levels takes two hundred."""
_SHOWN = 80
_SIZE = 2**48
"""No axis is longer; products of so few stay exact, and far above what is on any disk."""
_DIGITS = re.compile(r"-?[0-9]{1,19}")


class Told(NamedTuple):
    """What a header says of one tensor."""

    dtype: str
    shape: tuple[int, ...]


def read_header(content: bytes, where: str) -> dict[str, Told]:
    """Return what the header of a safetensors file says, by name; the bytes behind it lie as it says or it is refused.

    Every key once, every tensor at a place of its own, all places together the whole file: two readers of such a
    header see the same tensors. (https://huggingface.co/docs/safetensors, "Format")

    Args:
        content: the whole file.
        where: what to call it.

    Raises:
        ArtefactError: naming the first thing that is wrong.
    """
    length = int.from_bytes(content[:_LENGTH], "little")
    if len(content) < _LENGTH or not 2 <= length <= min(_MOST, len(content) - _LENGTH):
        raise _refused(where, f"{len(content)} bytes announce a header of {length}")
    head, body = content[_LENGTH : _LENGTH + length], len(content) - _LENGTH - length
    if not head.startswith(b"{"):
        raise _refused(where, "its header does not begin with a brace")
    try:
        found = json.loads(head.decode(), object_pairs_hook=_once, parse_constant=_never, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise _refused(where, f"its header is no JSON that can be read ({str(error)[:200]})") from None
    if not isinstance(found, dict):  # a brace begins nothing else
        raise _refused(where, "its header is no object")
    words = found.pop(_WORDS, {})
    if not isinstance(words, dict) or not all(isinstance(value, str) for value in words.values()):
        raise _refused(where, f"{_WORDS} holds more than text")
    if len(found) > _TENSORS:
        raise _refused(where, f"it holds {len(found)} tensors, at most {_TENSORS} are read")
    if any(len(name) > _NAME for name in found):
        raise _refused(where, f"it names a tensor in {max(map(len, found))} characters, at most {_NAME} are read")
    _hold_places([(name, *_entry(name, said, where)) for name, said in found.items()], body, where)
    return {name: Told(said["dtype"], tuple(said["shape"])) for name, said in found.items()}


def _entry(name: str, said: Any, where: str) -> tuple[int, int]:
    """Return where a tensor begins and ends, once what is said of it makes sense."""
    if not isinstance(said, Mapping) or set(said) != {"dtype", "shape", "data_offsets"}:
        raise _refused(where, f"{name[:_SHOWN]!r} is not said by dtype, shape and data_offsets")
    kind, shape, places = said["dtype"], said["shape"], said["data_offsets"]
    if not isinstance(kind, str) or kind not in BITS:
        raise _refused(where, f"{name[:_SHOWN]!r} is of type {str(kind)[:_SHOWN]!r}")
    if not _counts(shape) or len(shape) > _AXES or max(shape, default=0) > _SIZE:
        raise _refused(where, f"{name[:_SHOWN]!r} has a shape that is no list of sizes")
    if not _counts(places) or len(places) != len(("begin", "end")):
        raise _refused(where, f"{name[:_SHOWN]!r} has offsets that are no begin and end")
    begin, end = places
    if end - begin != prod(shape) * BITS[kind] // 8:
        raise _refused(where, f"{name[:_SHOWN]!r} lies on {end - begin} bytes, its shape takes others")
    return begin, end


def _hold_places(found: Iterable[tuple[str, int, int]], body: int, where: str) -> None:
    at = 0
    for name, begin, end in sorted(found, key=lambda entry: entry[1:]):
        if begin != at:
            raise _refused(where, f"{name[:_SHOWN]!r} begins at byte {begin}, the one before ends at {at}")
        at = end
    if at != body:
        raise _refused(where, f"its tensors take {at} bytes, {body} lie there")


def _counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(entry) is int and entry >= 0 for entry in value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _never(text: str) -> Any:
    raise ValueError(f"{text} is no number of a header")


def _whole(text: str) -> int:
    if not _DIGITS.fullmatch(text):
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _refused(where: str, why: str) -> ArtefactError:
    return ArtefactError(f"{where} is no valid safetensors file: {why}; fetch or convert it again.")

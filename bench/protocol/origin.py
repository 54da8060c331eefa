"""Where rules were read, so that an error can name file, line and field."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

Place: TypeAlias = tuple[str | int, ...]
"""A field of a TOML file: the keys that lead to it; a number counts the tables of an array from 0."""

_PART = r"(?:\"[^\"]*\"|'[^']*'|[A-Za-z0-9_-]+)"
_KEYS = rf"{_PART}(?:\s*\.\s*{_PART})*"
_TABLE = re.compile(rf"\s*\[(?P<array>\[)?\s*(?P<keys>{_KEYS})\s*\]")
_FIELD = re.compile(rf"\s*(?P<keys>{_KEYS})\s*=")


@dataclass(frozen=True, slots=True)
class Origin:
    """The file that rules were read from.

    Attributes:
        file: its name, for messages.
        text: what it says.
        folder: what paths in it are relative to; None for the files that ship with this version.
        base: name of the protocol that it extends.
        moved: place of a table among all rules to its place in the file, where the two differ.
    """

    file: str
    text: str
    folder: Path | None = None
    base: str | None = None
    moved: Mapping[Place, Place] = field(default_factory=dict)

    def at(self, *place: str | int) -> str:
        """Return file, line and field: ``mine.toml, line 12, data.settings.crop``.

        What the file does not say has the line of the innermost table that would hold it, and none at all where the
        whole table is taken from the protocol that the file extends.
        """
        own = self._own(place)
        lines = lines_of(self.text)
        inside = [line for where, line in lines.items() if where[: len(own)] == own]
        around = [lines[own[:size]] for size in range(len(own) - 1, 0, -1) if own[:size] in lines]
        spelled = ".".join(str(step) for step in own)
        if inside or around:
            return f"{self.file}, line {min(inside) if inside else around[0]}, {spelled}"
        return f"{self.file}, {spelled}" + (f" (of {self.base})" if self.base else "")

    def _own(self, place: Place) -> Place:
        for size in range(len(place), 0, -1):
            if place[:size] in self.moved:
                return self.moved[place[:size]] + place[size:]
        return place


@lru_cache(maxsize=16)  # a sweep asks for the same file hundreds of times
def lines_of(text: str) -> dict[Place, int]:
    """Return the line of every table and field of a valid TOML text, the first line being 1."""
    found: dict[Place, int] = {}
    counts: dict[Place, int] = {}
    table: Place = ()
    lines = text.splitlines()
    index = 0
    while index < len(lines):
        line, size = lines[index], 1
        if header := _TABLE.match(line):
            table = _resolved(_keys(header["keys"]), counts)
            if header["array"]:
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            found.setdefault(table, index + 1)
        elif entry := _FIELD.match(line):
            found[table + _keys(entry["keys"])] = index + 1
            size = _height(lines[index:])
        index += size
    return found


def _keys(text: str) -> Place:
    return tuple(part.strip("\"'") for part in re.findall(_PART, text))


def _resolved(keys: Place, counts: Mapping[Place, int]) -> Place:
    """Return keys with the number of the latest table put in wherever they lead through an array of tables."""
    place: Place = ()
    for key in keys:
        if place in counts:
            place = (*place, counts[place])
        place = (*place, key)
    return place


def _height(lines: list[str]) -> int:
    """Return over how many lines the value of a field goes that begins on the first of them."""
    for size in range(1, len(lines) + 1):
        try:
            tomllib.loads("\n".join(lines[:size]))
        except tomllib.TOMLDecodeError:
            continue
        return size
    return 1

"""Which images there are and which class each one has: from lists, never from the folders that happen to be there."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.data.decoding import IMAGES
from bench.errors import InputError

_COLUMNS = ("file", "class")
_DIGEST = "sha256"


@dataclass(frozen=True, slots=True)
class Listed:
    """One image of a data set.

    Attributes:
        file: relative to the folder of the images.
        digest: sha256 of its pixels, height × width × channels, as the network is shown them; None where not pinned.
    """

    file: str
    label: int
    digest: str | None = None


def read_classes(path: Path) -> tuple[str, ...]:
    """Read the names of all classes, one a line, in the order of the network's outputs.

    Raises:
        InputError: if the list is empty, or has an empty line or a name twice; with its line.
    """
    names = [line.strip() for line in _text(path).rstrip().splitlines()]
    if not names:
        raise InputError(f"{path.name} lists no class; write one a line, in the order of the network's outputs.")
    for number, name in enumerate(names, start=1):
        if not name or name in names[: number - 1]:
            what = f"{name!r} stands there twice" if name else "a class has no name"
            raise InputError(f"{path.name}, line {number}: {what}; a line is a class, its place is its number.")
    return tuple(names)


def read_labels(path: Path, classes: int) -> tuple[Listed, ...]:
    """Read a table with the columns ``file``, ``class`` (a number from 0) and, if pinned, ``sha256``.

    Raises:
        InputError: if a column is missing, a class is none, or a file stands there twice; with its line.
    """
    table = csv.DictReader(_text(path).splitlines())
    head = tuple(table.fieldnames or ())
    if sorted(set(head) - {_DIGEST}) != sorted(_COLUMNS):
        raise InputError(f"{path.name}, line 1: expected the columns file,class or file,class,sha256, got {head}.")
    found: dict[str, Listed] = {}
    for row in table:
        where, label, file = f"{path.name}, line {table.line_num}", row["class"] or "", row["file"] or ""
        if not label.isdecimal() or int(label) >= classes:
            raise InputError(f"{where}, class: expected a number from 0 to {classes - 1}, got {label!r}.")
        if not file or file in found:
            raise InputError(f"{where}, file: expected a name that does not stand there yet, got {file!r}.")
        found[file] = Listed(file, int(label), row.get(_DIGEST) or None)
    if not found:
        raise InputError(f"{path.name} lists no image.")
    return tuple(found.values())


def walk(folder: Path, classes: tuple[str, ...]) -> tuple[Listed, ...]:
    """Find the images in a folder with one folder a class, ordered by class folder and path as text.

    Raises:
        InputError: if a folder is not among the classes, or a file is no image.
    """
    number = {name: place for place, name in enumerate(classes)}
    found = []
    for inside in sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")):
        if inside.name not in number:
            raise InputError(
                f"{str(inside)!r} bears the name of none of the {len(classes)} classes listed (the first is "
                f"{classes[0]!r}); add it to the list or move it elsewhere."
            )
        for path in sorted(inside.rglob("*")):
            if path.is_dir() or path.name.startswith("."):
                continue
            if path.suffix.lower() not in IMAGES:
                raise InputError(f"{str(path)!r} is no image ({', '.join(sorted(IMAGES))}); move it elsewhere.")
            found.append(Listed(path.relative_to(folder).as_posix(), number[inside.name]))
    if not found:
        raise InputError(f"{str(folder)!r} holds no image; expected one folder a class, with its images inside.")
    return tuple(found)


def spell(listed: Sequence[Listed]) -> str:
    """Return the table that ``read_labels`` reads, digests included."""
    lines = [",".join((*_COLUMNS, _DIGEST))]
    lines += [f"{_quoted(one.file)},{one.label},{one.digest or ''}" for one in listed]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"') else text


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{str(path)!r} cannot be read as text ({error}).") from None

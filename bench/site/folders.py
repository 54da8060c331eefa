"""Reads the folders of entries, and spares those that an earlier build found sound."""

import hashlib
from pathlib import Path

from bench.site.store import Store, key, program
from bench.submission.check import Folder, examine
from bench.submission.verifiers import listed

_SOUND = b"sound"


class Examiner:
    """Examines folders; with a store, those in which nothing changed since an earlier build are only read.

    Nothing means the files, the code that examines them and the list of verifiers.
    """

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self._by = [program(), listed().model_dump_json()] if store is not None else []

    def examine(self, place: Path) -> tuple[Folder | None, list[str], str]:
        """Return what a folder holds, every problem of it, and a digest of all its files."""
        digest = _digest(place)
        if self._store is None:
            return *examine(place), digest
        known = key("sound", [*self._by, place.parent.name, place.name, digest])
        sound = self._store.get(known) == _SOUND
        folder, problems = examine(place, sound=sound)
        if folder is not None and not problems and not sound:
            self._store.put(known, _SOUND)
        return folder, problems, digest


def _digest(place: Path) -> str:
    """Return a digest of the names and bytes of the files in a folder; links and folders count by their names."""
    digest = hashlib.sha256()
    for path in sorted(place.iterdir()) if not place.is_symlink() else ():
        plain = path.is_file() and not path.is_symlink()
        content = path.read_bytes() if plain else b""
        digest.update(f"{path.name}\0{plain} {len(content)}\0".encode(errors="surrogateescape") + content)
    return digest.hexdigest()

"""What earlier builds made, by digests of all that decides it: drawings, pages of entries, folders found sound.

Beside these, which entries were found apart. One file of SQLite in a folder that a reader gives. A build without one
makes everything anew and gives the same bytes.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from bench.errors import BenchError

FILE = "site.sqlite"
_TABLE = (
    "CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, digest BLOB NOT NULL, body BLOB NOT NULL) WITHOUT ROWID"
)


class Store:
    """Bodies by key. What was cut short or altered is not returned; what a whole build did not ask for is dropped."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._used: set[str] = set()

    def get(self, key: str) -> bytes | None:
        """Return what was kept under a key."""
        self._used.add(key)
        found = self._database.execute("SELECT digest, body FROM kept WHERE key = ?", (key,)).fetchone()
        if found is None or not isinstance(found[1], bytes) or hashlib.sha256(found[1]).digest() != found[0]:
            return None
        return found[1]

    def put(self, key: str, body: bytes) -> None:
        """Keep something; it is there for others once the store is closed."""
        self._used.add(key)
        self._database.execute("REPLACE INTO kept VALUES (?, ?, ?)", (key, hashlib.sha256(body).digest(), body))

    def drop_unused(self) -> None:
        """Forget what nobody asked for."""
        there = [key for (key,) in self._database.execute("SELECT key FROM kept")]
        gone = [(key,) for key in there if key not in self._used]
        self._database.executemany("DELETE FROM kept WHERE key = ?", gone)


@contextmanager
def opened(folder: Path) -> Iterator[Store]:
    """Open the store in a folder; a file there that is none is begun anew, an interrupted build leaves it as it was.

    Raises:
        BenchError: if it cannot be read or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            database = _open(folder / FILE)
        except sqlite3.DatabaseError:
            (folder / FILE).unlink()
            database = _open(folder / FILE)
        try:
            store = Store(database)
            yield store
            store.drop_unused()
            database.commit()
        finally:
            database.close()
    except (OSError, sqlite3.Error) as error:
        raise BenchError(f"cannot keep anything in {str(folder)!r} ({error}); leave --keep out.") from None


def _open(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path)
    try:
        database.execute(_TABLE)
    except sqlite3.DatabaseError:
        database.close()
        raise
    return database


def key(kind: str, parts: Iterable[str]) -> str:
    """Return the key of something that these parts decide, each of its own."""
    digest = hashlib.sha256(kind.encode())
    for part in parts:
        content = part.encode()
        digest.update(b"%d:" % len(content))
        digest.update(content)
    return digest.hexdigest()


@cache
def program() -> str:
    """Return a digest of the parts of this package that a site is made by: code, rules, templates."""
    digest = hashlib.sha256()
    root = resources.files("bench")
    for name in ("protocol", "submission", "site"):
        _feed(digest, root / name)
    for path in sorted((each for each in root.iterdir() if each.name.endswith(".py")), key=lambda each: each.name):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _feed(digest: "hashlib._Hash", folder: Traversable) -> None:
    for path in sorted(folder.iterdir(), key=lambda each: each.name):
        if path.is_dir():
            if path.name != "__pycache__":
                _feed(digest, path)
        else:
            content = path.read_bytes()
            digest.update(f"{path.name} {len(content)} ".encode() + content)

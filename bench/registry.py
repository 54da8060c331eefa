"""Named components, found in one folder of the package and in the packages of others."""

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from typing import Generic, TypeVar

from bench.errors import UsageError

T = TypeVar("T")


class Registry(Generic[T]):
    """Maps names to components of one kind; a component registers itself when its module is imported.

    Args:
        kind: what the entries are, for messages: ``"attack"``.
        package: dotted name of the folder whose modules register entries; imported on the first look-up.
        group: of entry points in other installed packages, each a module that registers entries; None for no others.
    """

    def __init__(self, kind: str, package: str, group: str | None = None) -> None:
        self._kind = kind
        self._package = package
        self._group = group
        self._entries: dict[str, T] = {}
        self._foreign: dict[str, str] = {}
        self._searched = False

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that files its argument under ``name``; a name is given once."""

        def file(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"two components of kind {self._kind} are called {name!r}")
            self._entries[name] = entry
            return entry

        return file

    def __getitem__(self, name: str) -> T:
        """Return the entry called ``name``.

        Raises:
            UsageError: if there is none, naming the nearest and all known ones.
        """
        self._search()
        if name not in self._entries:
            raise UsageError(unknown(self._kind, name, list(self)))
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, sorted."""
        self._search()
        return iter(sorted(self._entries))

    def __contains__(self, name: object) -> bool:
        """Tell whether an entry is called ``name``."""
        self._search()
        return name in self._entries

    def plugged(self, name: str) -> str | None:
        """Return which package of others brought an entry; None for one of ours."""
        self._search()
        return self._foreign.get(name)

    def _search(self) -> None:
        if self._searched:
            return
        self._searched = True
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
        for point in metadata.entry_points(group=self._group) if self._group else ():
            self._plug(point)

    def _plug(self, point: metadata.EntryPoint) -> None:
        """Import a module of somebody else's package; one that fails is named, for a run must not go on without it."""
        brings, before = f"{point.dist.name} {point.dist.version}" if point.dist else point.value, set(self._entries)
        try:
            point.load()
        except Exception as error:  # whatever other people's code raises
            raise UsageError(
                f"the plug-in {brings} ({point.value}) cannot be loaded: {type(error).__name__}: {error}; mend it or "
                "uninstall it."
            ) from error
        self._foreign |= dict.fromkeys(self._entries.keys() - before, brings)


def unknown(kind: str, name: str, known: Sequence[str]) -> str:
    """Return the sentence for a name that nothing carries, with near misses."""
    near = difflib.get_close_matches(name, known, n=3)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    return f"No {kind} is called {name!r}.{hint} Known: {', '.join(sorted(known))}."

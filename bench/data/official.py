"""The files in which a data set is published: where they are, what their digests are, and how they get here."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from bench.download import Remote, fetch, hold, opened
from bench.errors import AbsentError, ArtefactError, BenchError, InputError, UsageError
from bench.offline import online


def data_folder() -> Path:
    """Return the folder that holds data sets: ``BENCH_DATA_DIR``, else one in the user's cache."""
    return Path(os.environ.get("BENCH_DATA_DIR") or Path.home() / ".cache" / "prunebench" / "data")


def _never(_home: Path, _split: str) -> bool:
    # by name, so that a plan can be sent to another process
    return False


@dataclass(frozen=True, slots=True)
class Official:
    """How a data set is published.

    Attributes:
        name: of the data set.
        folder: where its files go, under the data folder.
        files: the files of each split.
        terms: its licence, or what its authors ask for.
        closed: why no program may fetch it, so that it is placed by hand; else empty.
        ready: whether a split can be read without its files, unpacked or in slices.
        slices: whether ``<split>-<first>-<last>.npz`` in the folder serve, too.
    """

    name: str
    folder: str
    files: Mapping[str, tuple[Remote, ...]]
    terms: str
    closed: str = ""
    ready: Callable[[Path, str], bool] = _never
    slices: bool = True

    @property
    def home(self) -> Path:
        """Where its files lie."""
        return data_folder() / self.folder

    def of(self, split: str) -> tuple[Remote, ...]:
        """Return the files of a split.

        Raises:
            UsageError: if there is no such split.
        """
        if split not in self.files:
            raise UsageError(f"{self.name} has no split {split!r}; it has {', '.join(self.files)}.")
        return self.files[split]

    def here(self, split: str) -> bool:
        """Tell whether every file of a split is there, whatever is in it."""
        return all((self.home / remote.name).is_file() for remote in self.of(split))

    def pins(self, split: str) -> dict[str, str]:
        """Return the published digest of each file of a split by its name, as protocols pin points by them."""
        return {Path(remote.name).name: remote.digest for remote in self.of(split)}

    @property
    def remedy(self) -> str:
        """The one command that brings the files here."""
        if self.closed:
            return f"bench data place {self.name} {self.of('test')[0].name}"
        return f"bench data fetch {self.name}"

    def obtain(self, split: str) -> Path:
        """Return the folder with the files of a split, each fetched where it is absent and may be fetched.

        Raises:
            AbsentError: where nothing may be fetched just now and a file is not there.
            InputError: if a file cannot be fetched, saying what to place where.
            ArtefactError: if a file is not what was published.
        """
        for remote in self.of(split):
            if (self.home / remote.name).is_file():
                hold(self.home / remote.name, remote)
            else:
                self._bring(remote, split)
        return self.home

    @contextmanager
    def opened(self, split: str) -> Iterator[BufferedReader]:
        """Open the one file of a split, held against its digest while it is open; raises as ``obtain`` does."""
        (remote,) = self.of(split)
        if not (self.home / remote.name).is_file():
            self._bring(remote, split)
        with opened(self.home / remote.name, remote) as file:
            yield file

    def _bring(self, remote: Remote, split: str) -> None:
        lacks = f"{self.name}: {'no slices hold every point wanted, and ' if self.slices else ''}{remote.name} is not"
        if self.closed:
            raise AbsentError(f"{lacks} there and is not fetched, for {self.closed}; {self.advice(remote, split)}.")
        if not online():
            raise AbsentError(f"{lacks} on this machine; a run downloads it, or {self.advice(remote, split)}.")
        try:
            fetch(remote, self.home)
        except InputError as error:
            raise InputError(f"{lacks} there: {str(error).rstrip('.')}; {self.advice(remote, split)}.") from None

    def set_aside(self, remote: Remote) -> Path | None:
        """Rename a file that is not what was published, so that it can be fetched; return its new name, if any.

        Raises:
            BenchError: if it cannot be renamed.
        """
        path = self.home / remote.name
        if not path.is_file():
            return None
        try:
            hold(path, remote)
        except ArtefactError:
            aside = path.with_name(f"{path.name}.not-as-published")
            try:
                path.replace(aside)
            except OSError as error:
                raise BenchError(f"cannot rename {str(path)!r} ({error.strerror or error}).") from None
            return aside
        return None

    def advice(self, remote: Remote, split: str) -> str:
        """Say what to place where."""
        slices = f", or slices {split}-<first>-<last>.npz that hold the points" if self.slices else ""
        return (
            f"place {remote.name} ({remote.spelled}, from {remote.address}) in {self.home}{slices}, "
            f"or set BENCH_DATA_DIR to the folder that has {self.folder}"
        )

    def place(self, given: Path) -> Path:
        """Copy a file of the data set that lies elsewhere to where it is looked for; it is known by its name.

        Raises:
            UsageError: if no file of the data set has its name.
            ArtefactError: if it is not what was published.
        """
        known = {Path(remote.name).name: remote for files in self.files.values() for remote in files}
        if given.name not in known:
            raise UsageError(f"{str(given)!r} is no file of {self.name}; those are {', '.join(sorted(known))}.")
        remote = known[given.name]
        hold(given, remote)
        path = self.home / remote.name
        if path.exists() and path.samefile(given):
            return path
        part = path.with_name(f"{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(given, part)
            part.replace(path)
        except OSError as error:
            raise BenchError(f"cannot write {str(path)!r} ({error.strerror or error}); make room there.") from None
        return path

    def states(self) -> Iterator[tuple[str, Remote, str]]:
        """Yield each file with its split and how it stands: as published, absent, or what is wrong."""
        for split, files in self.files.items():
            for remote in files:
                yield split, remote, self._state(split, remote)

    def _state(self, split: str, remote: Remote) -> str:
        path = self.home / remote.name
        if not path.is_file():
            return "absent; what was unpacked is read" if self.ready(self.home, split) else "absent"
        try:
            hold(path, remote)
        except BenchError as error:
            return str(error)
        return "as published" if remote.digest else "there; no digest is published"

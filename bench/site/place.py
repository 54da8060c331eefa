"""Brings a folder to the files of a site, touching nothing that an earlier build did not write.

What a build wrote stands in its manifest. Only what the manifest lists is replaced or removed; everything else belongs
to somebody else, and what stands behind a dot is not even looked at.
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.atomic import write_atomic
from bench.errors import BenchError, InputError

MANIFEST = "manifest.sha256"
"""Lists every file of the site but itself, as ``sha256sum --check`` reads it."""
_LINE = re.compile(r"([0-9a-f]{64})  ((?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*)")
"""A digest and a path inside the folder: no root, no step up, no part that begins with a dot."""


def differences(files: Mapping[str, bytes], out: Path) -> list[str]:
    """Return the paths that are missing, different or unknown, sorted."""
    there, site = _present(out), _digests(files)
    site[MANIFEST] = _digest(_spell(site))
    return sorted({path for path, digest in site.items() if there.get(path) != digest} | (set(there) - set(site)))


def place(files: Mapping[str, bytes], out: Path) -> list[str]:
    """Write what differs, remove what an earlier build wrote and this one does not, and return the paths that changed.

    An interrupted build is finished by building again: from its first moment its manifest lists old and new files.

    Raises:
        InputError: if something stands in the way that no build has written; nothing has been changed then.
        BenchError: if the folder cannot be read or written.
    """
    there, written, new = _present(out), _written(out), _digests(files)
    listed = _spell(new)
    _refuse(new, out, there, written)
    changed = [path for path, digest in new.items() if there.get(path) != digest]
    gone = {path: there[path] for path in written if path in there and path not in new}
    if changed or gone:
        write_atomic(out / MANIFEST, _spell(new | gone))
        for path in changed:
            write_atomic(out / path, files[path])
        for path in gone:
            _remove(out, path)
    if there.get(MANIFEST) != _digest(listed) or changed or gone:
        write_atomic(out / MANIFEST, listed)
    return sorted([*changed, *gone])


def strangers(files: Mapping[str, bytes], out: Path) -> list[str]:
    """Return the files in a folder that are not of the site, and that no build touches."""
    return sorted(set(_found(out)) - set(files) - {MANIFEST})


def _spell(digests: Mapping[str, str]) -> bytes:
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(digests.items())).encode()


def _written(out: Path) -> set[str]:
    """Return the paths that the manifest of the last build lists; a line that is none of ours means nothing."""
    place = out / MANIFEST
    if place.is_symlink() or not place.is_file():
        return set()
    lines = place.read_text("utf-8", errors="replace").splitlines()
    return {found[2] for line in lines if (found := _LINE.fullmatch(line))}


def _refuse(new: Mapping[str, str], out: Path, there: Mapping[str, str], written: set[str]) -> None:
    foreign = sorted(path for path in there if path not in written and there[path] != new.get(path))
    if foreign and MANIFEST not in there:
        raise InputError(
            f"{str(out)!r} holds {_few(foreign)}, but no {MANIFEST} of an earlier build of this site; choose an empty "
            "folder."
        )
    blocked = sorted(
        {path for path in foreign if path in new}
        | {_obstacle(out, path) for path in [*new, MANIFEST] if path not in there} - {""}
    )
    if blocked:
        raise InputError(
            f"{str(out)!r} holds {_few(blocked)}, which no build of this site has written, where a file of the site "
            "would go; move that away or choose another folder."
        )


def _obstacle(out: Path, path: str) -> str:
    """Return the first part of a path that cannot be written through; empty where there is none."""
    parts = path.split("/")
    for count in range(1, len(parts) + 1):
        part = "/".join(parts[:count])
        try:
            kind = (out / part).lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return ""
        if not (stat.S_ISREG(kind) if count == len(parts) else stat.S_ISDIR(kind)):
            return part
    return ""


def _remove(out: Path, path: str) -> None:
    """Remove a file and the folders that it leaves empty."""
    place = out / path
    try:
        place.unlink()
        for folder in list(place.parents)[: path.count("/")]:
            if any(folder.iterdir()):
                break
            folder.rmdir()
    except OSError as error:
        raise BenchError(f"cannot remove {str(place)!r} ({error.strerror}); build again when it can be.") from None


def _present(out: Path) -> dict[str, str]:
    """Return the digests of the files that an earlier build may have written, by path."""
    try:
        return {name: _digest(path.read_bytes()) for name, path in _found(out).items()}
    except OSError as error:
        raise _unreadable(out, error) from None


def _found(out: Path) -> dict[str, Path]:
    """Return the regular files that are not behind a dot, by path inside the folder; no link is followed."""
    try:
        return dict(_walk(out, ""))
    except FileNotFoundError:
        return {}
    except NotADirectoryError:
        raise InputError(f"{str(out)!r} is a file; name a folder.") from None
    except OSError as error:
        raise _unreadable(out, error) from None


def _unreadable(out: Path, error: OSError) -> BenchError:
    return BenchError(f"cannot read {str(out)!r} ({error.strerror or error}).")


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(folder / entry.name, f"{prefix}{entry.name}/")
            elif entry.is_file(follow_symlinks=False):
                yield f"{prefix}{entry.name}", Path(entry.path)


def _digests(files: Mapping[str, bytes]) -> dict[str, str]:
    return {path: _digest(content) for path, content in files.items()}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _few(paths: list[str]) -> str:
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(repr(path) for path in paths[:3]) + more

"""Brings a folder to exactly the files of a site."""

from collections.abc import Mapping
from pathlib import Path

from bench.atomic import write_atomic
from bench.errors import InputError

_KEEP = {".gitignore", ".gitattributes", ".nojekyll", "README.md"}
_MARK = "index.html"


def differences(files: Mapping[str, bytes], out: Path) -> list[str]:
    """Return the paths that are missing, different or unknown, sorted."""
    there = _present(out)
    wrong = {path for path, content in files.items() if path not in there or (out / path).read_bytes() != content}
    return sorted(wrong | (there - set(files)))


def place(files: Mapping[str, bytes], out: Path) -> int:
    """Write what differs, remove what does not belong, and return how many files changed.

    Raises:
        InputError: if the folder holds something else than a site.
    """
    there = _present(out)
    if there and _MARK not in there:
        raise InputError(f"{str(out)!r} holds files but no {_MARK}, so it is no site; choose another folder.")
    changed = differences(files, out)
    for path in changed:
        if path in files:
            write_atomic(out / path, files[path])
        else:
            (out / path).unlink()
    for folder in sorted((path for path in out.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    return len(changed)


def _present(out: Path) -> set[str]:
    if not out.exists():
        return set()
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    return {path for path in found if path not in _KEEP}

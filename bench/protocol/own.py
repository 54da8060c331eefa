"""Protocols of one's own: files by path, complete or as changes to a protocol that ships."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.errors import ProtocolError
from bench.protocol.extend import extended
from bench.protocol.load import Protocol, load, names, read, settle, shipped
from bench.protocol.origin import Origin
from bench.registry import unknown

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
"""What a protocol of one's own may be called, for runs are put into a folder of its name."""


def find(reference: str) -> Protocol:
    """Load what ``--protocol`` names: a protocol that ships with this version, or the path of a ``.toml`` file.

    Raises:
        UsageError: if none of this name ships.
        ProtocolError: if there is no such file, or it breaks the rules for rules; with file, line and field.
    """
    if not reference.endswith(".toml"):
        return load(reference)
    path = Path(reference)
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ProtocolError(
            f"no protocol can be read from {reference!r} ({reason}); name one that ships ({', '.join(names())}) or a "
            "file such as `bench protocol new` writes."
        ) from None
    rules, origin = read(Origin(path.name, text, path.resolve().parent))
    return _extended(_checked(rules, origin), origin)


def _checked(rules: dict[str, Any], origin: Origin) -> dict[str, Any]:
    """Return the rules with the words they lack, or refuse what only a protocol that ships may say."""
    name = rules.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in names():
        raise ProtocolError(
            f"{origin.at('name')}: expected a name of its own in small letters, digits, dots and dashes, other than "
            f"those that ship ({', '.join(names())}), got {name!r}."
        )
    if rules.get("status", "draft") != "draft":
        raise ProtocolError(
            f"{origin.at('status')}: only a protocol that ships is released, got {rules['status']!r}; leave it out."
        )
    return {"title": name, "summary": "Rules of one's own.", "status": "draft"} | rules


def _extended(rules: dict[str, Any], origin: Origin) -> Protocol:
    base = rules.pop("extends", None)
    if base is None:
        return settle(rules, origin)
    if base not in names():
        raise ProtocolError(f"{origin.at('extends')}: {unknown('protocol', str(base), names())}")
    try:
        merged, moved = extended(tomllib.loads(shipped(base)), rules)
    except (TypeError, AttributeError, KeyError):
        raise ProtocolError(
            f"{origin.file}: a table and a plain value stand in each other's place; `bench protocol show {base}` shows "
            "the form of every rule."
        ) from None
    return settle(merged, replace(origin, base=base, moved=moved), load(base))

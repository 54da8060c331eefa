"""Hold protocols to the digests under which they were released, for good."""

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from bench.errors import ProtocolError

FILE = "released.json"
"""``protocols``: digest of the rules by name; ``networks``: sha256 of the files of the embedded networks by name."""


@cache
def lock() -> Mapping[str, Mapping[str, str]]:
    """Return what was released, as the lock file lists it."""
    table: dict[str, Any] = json.loads((resources.files("bench.protocol") / FILE).read_text("utf-8"))
    return table


def hold(name: str, status: str, digest: str) -> None:
    """Let rules through only if they are a draft, or those that were released under this name.

    Raises:
        ProtocolError: if released rules are others now or called a draft, or rules call themselves released and are
            not listed.
    """
    listed = lock()["protocols"].get(name)
    if listed is None and status == "draft":
        return
    if listed is None:
        raise ProtocolError(
            f"{name}.toml calls itself released, and {FILE} does not list it; it is a draft until then."
        )
    if status == "draft":
        raise ProtocolError(
            f"{name}.toml calls itself a draft, and {FILE} lists it as released; what is released stays."
        )
    if digest != listed:
        raise ProtocolError(
            f"{name}.toml is not what was released under that name: its digest should be {listed}, got {digest}; take "
            "the change back, or give the new rules the next name."
        )

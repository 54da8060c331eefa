"""Whether inputs may be fetched over a network just now."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ONLINE = ContextVar("online", default=True)


def online() -> bool:
    """Tell whether what is not on this machine may be fetched."""
    return _ONLINE.get()


@contextmanager
def offline() -> Iterator[None]:
    """Let nothing be fetched inside: an input that is not on this machine raises AbsentError instead."""
    before = _ONLINE.set(False)
    try:
        yield
    finally:
        _ONLINE.reset(before)

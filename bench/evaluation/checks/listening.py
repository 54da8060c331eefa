"""Keeps what libraries warn of, instead of letting it scroll by."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class _Ear(logging.Handler):
    def __init__(self, heard: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        self._heard.append(f"{record.name}: {record.getMessage()}")


@contextmanager
def listening() -> Iterator[list[str]]:
    """Collect Python's warnings and loggers' warnings, each wording once, in the order they came."""
    heard: list[str] = []
    spoken: list[str] = []
    ear, root = _Ear(spoken), logging.getLogger()
    root.addHandler(ear)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield heard
    finally:
        root.removeHandler(ear)
    said = [f"{warning.category.__name__}: {warning.message}" for warning in caught]
    heard.extend(dict.fromkeys(" ".join(words.split()) for words in (*said, *spoken)))

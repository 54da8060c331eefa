"""Whether the words of a request fit into the record of its result: told before a run, not after it."""

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bench.errors import InputError, UsageError
from bench.submission.fields import Exact, Line, Title

_READABLE = 10**30
_EXACT, _LINE, _TITLE = TypeAdapter[str](Exact), TypeAdapter[str](Line), TypeAdapter[str](Title)


def hold_words(refs: Iterable[str], architecture: str | None, method: str | None, classes: tuple[str, ...]) -> None:
    """Refuse words that no record may hold.

    Raises:
        UsageError: for a reference, an architecture or a method.
        InputError: for the name of a class.
    """
    for ref in refs:
        if found := _fault(_LINE, ref):
            raise UsageError(f"the model {ref!r} {found}; give its file another name.")
    if architecture is not None and (found := _fault(_TITLE, architecture)):
        raise UsageError(f"the architecture {architecture!r} {found}; give it a shorter name.")
    if method is not None:
        hold_method(method)
    for name in classes:
        if found := _fault(_LINE, name):
            raise InputError(f"the class {name!r} {found}; give it another name.")


def hold_share(share: Fraction) -> None:
    """Refuse a sparsity that no record may hold, or that leaves nothing or all, with a UsageError."""
    if not 0 < share < 1:
        raise UsageError(f"a sparsity lies strictly between 0 and 1, got {_short(share)}.")
    if _fault(_EXACT, str(share)):
        raise UsageError(
            f"a sparsity is recorded exactly, as a fraction of at most 12 digits a part, got {_short(share)}; round it."
        )


def _short(share: Fraction) -> str:
    return str(share) if max(abs(share.numerator), share.denominator) < _READABLE else "a number of very many digits"


def hold_method(method: str) -> None:
    """Refuse what is no line of at most a hundred characters with a UsageError."""
    if found := _fault(_TITLE, method):
        raise UsageError(f"--method should be one line of at most 100 characters, such as 'LAMP + TRADES'; {found}.")


def _fault(kind: Any, text: str) -> str | None:
    try:
        kind.validate_python(text)
    except ValidationError as error:
        (first, *_) = error.errors(include_url=False)
        return first["msg"].removeprefix("Value error, ")
    return None

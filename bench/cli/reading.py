"""How options are read from text: shares, rates, ranges of points, lists of numbers."""

import re
from fractions import Fraction

from bench.errors import UsageError


def share(text: str) -> Fraction:
    """Read an exact share: ``0.9`` (a decimal means what it says), ``9/10``."""
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"{text!r} is no sparsity; write a share such as 0.9 or 9/10.") from None


def sparsity(given: str | None, compression: str | None) -> Fraction | None:
    """Return the sparsity asked for, by share or by compression rate (10 means one weight of ten is kept)."""
    if given is not None and compression is not None:
        raise UsageError("--sparsity and --compression say the same thing; give one of them.")
    if compression is not None:
        rate = share(compression)
        if rate <= 1:
            raise UsageError(f"a compression rate is above 1, got {compression}.")
        return 1 - 1 / rate
    return None if given is None else share(given)


def points(text: str | None) -> tuple[int, int] | None:
    """Read a range of point ids, ``0:200``."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+):(\d+)", text)
    if not found:
        raise UsageError(f"{text!r} is no range of points; write FIRST:LAST such as 0:200.")
    return int(found[1]), int(found[2])


def shard(text: str | None) -> tuple[int, int] | None:
    """Read which part of how many, ``3/16``."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UsageError(f"{text!r} is no shard; write NUMBER/MANY from 1 on, such as 3/16.")
    return int(found[1]), int(found[2])


def numbers(text: str | None) -> tuple[float, ...] | None:
    """Read one number or one per channel, decimals or fractions: ``0.5``, ``125.3/255,123/255,113.9/255``."""
    if text is None:
        return None
    try:
        return tuple(_number(part) for part in text.split(","))
    except (ValueError, ZeroDivisionError, OverflowError):
        raise UsageError(f"{text!r} is no list of numbers; write R,G,B such as 0.5,0.5,0.5.") from None


def words(text: str | None) -> tuple[str, ...]:
    """Read names with commas between them, each once, in their order in the alphabet."""
    return tuple(sorted({word.strip() for word in (text or "").split(",")} - {""}))


def batch_size(text: str) -> int | None:
    """Read a batch size; ``auto`` lets the harness choose."""
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"{text!r} is no batch size; write a number or auto.")
    return int(text)


def _number(text: str) -> float:
    numerator, slash, denominator = text.partition("/")
    return float(Fraction(numerator) / Fraction(denominator)) if slash else float(Fraction(text))

"""The kinds of values that the files of a submission are made of, each with its bounds."""

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from bench.errors import UsageError
from bench.submission.links import MOST, https
from bench.text import faults, length
from bench.threats import exact

LARGEST = 2**53 - 1
"""The largest count; JSON readers in other languages hold no larger integer exactly."""
_EXACT = re.compile(r"[0-9]{1,12}(/[0-9]{1,12})?")


def _exact(text: str) -> str:
    if not _EXACT.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no whole number or fraction of at most 12 digits a part")
    try:
        value = exact(text)
    except UsageError as error:
        raise ValueError(str(error)) from None
    if str(value) != text:
        raise ValueError(f"{text!r} is not in lowest terms; write {str(value)!r}")
    return text


def _words(signs: int, *, lines: bool = False) -> Callable[[str], str]:
    """Return a validator of texts of at most so many visible characters, and four times as many bytes."""

    def check(text: str) -> str:
        found = list(faults(text, lines=lines))
        if found:
            raise ValueError(f"holds {'; '.join(found)}")
        if length(text) > signs or len(text.encode()) > 4 * signs:
            raise ValueError(
                f"has {length(text)} characters in {len(text.encode())} bytes, at most {signs} in {4 * signs}"
            )
        return text

    return check


Count = Annotated[int, Field(ge=0, le=LARGEST)]
Positive = Annotated[int, Field(ge=1, le=LARGEST)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,119}$")]
"""A name that is also a folder and a part of an address."""
Exact = Annotated[str, AfterValidator(_exact)]
"""A whole number or a fraction in lowest terms, as text: ``"8/255"``."""
Https = Annotated[str, StringConstraints(max_length=MOST), AfterValidator(https)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=800), AfterValidator(_words(200))]
Title = Annotated[str, StringConstraints(min_length=1, max_length=400), AfterValidator(_words(100))]
"""A line that stands in the rows of boards."""
Sentence = Annotated[str, StringConstraints(max_length=2400), AfterValidator(_words(600))]
Words = Annotated[str, StringConstraints(max_length=16000), AfterValidator(_words(4000, lines=True))]
Seconds = Annotated[float, Field(gt=0, le=1e12)]
Figure = Annotated[float, Field(ge=-1e300, le=1e300)]


class Frozen(BaseModel):
    """A record of a file: frozen, strict, without keys of others and without NaN or infinity."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        populate_by_name=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

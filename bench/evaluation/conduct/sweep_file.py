"""A sweep written down in a file that can be committed beside a paper."""

import tomllib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bench.errors import InputError
from bench.evaluation.conduct.grid import Block
from bench.evaluation.plan.ask import File, Said
from bench.protocol.load import problems
from bench.protocol.origin import Origin
from bench.threats import Norm

_Names = tuple[Annotated[str, Field(min_length=1)], ...]
_Numbers = Annotated[tuple[float, ...], Field(min_length=1)]


def _exactly(given: object) -> Fraction:
    """Read a share from text, for a number of TOML has lost what it meant."""
    try:
        return Fraction(given if isinstance(given, str) else "")
    except (ValueError, ZeroDivisionError):
        raise ValueError('a share is written as text, such as "0.9" or "9/10"') from None


_Share = Annotated[Fraction, BeforeValidator(_exactly)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Block(_Table):
    """One ``[[grid]]``; every field is as the option of ``bench sweep`` of the same name."""

    models: Annotated[_Names, Field(min_length=1)]
    recipes: _Names = ()
    sparsities: tuple[_Share, ...] = ()
    regimes: _Names = ()
    keep: _Names = ()
    parent: str | None = None
    method: str | None = None
    structure: Literal["unstructured", "2of4", "channel"] | None = None
    arch: str | None = None
    mean: _Numbers | None = None
    std: _Numbers | None = None
    parent_arch: str | None = None
    parent_mean: _Numbers | None = None
    parent_std: _Numbers | None = None


class SweepFile(_Table):
    """The whole file: how everything is measured, then the grid."""

    protocol: str = "digits-v1"
    preset: str = "standard"
    threats: Annotated[tuple[Norm, ...], Field(min_length=1)] | None = None
    limit: Annotated[int, Field(ge=1)] | None = None
    points: tuple[int, int] | None = None
    seed: Annotated[int, Field(ge=0)] | None = None
    engine: Literal["native", "reference"] = "native"
    out: str | None = None
    grid: Annotated[tuple[_Block, ...], Field(min_length=1)]

    def blocks(self, folder: Path) -> Iterator[Block]:
        """Yield the blocks of the grid; paths are relative to a folder, that of the file."""
        for told in self.grid:
            parent = None if told.parent is None else _beside(told.parent, folder)
            yield Block(
                models=tuple(_beside(model, folder) for model in told.models),
                recipes=told.recipes,
                sparsities=told.sparsities,
                regimes=told.regimes,
                file=File(told.arch, told.mean, told.std),
                said=Said(
                    keep=tuple(sorted(set(told.keep))),
                    parent=parent,
                    parent_file=File(told.parent_arch, told.parent_mean, told.parent_std),
                    method=told.method,
                    structure=told.structure,
                ),
            )


def read_sweep(path: Path) -> SweepFile:
    """Read a sweep.

    Raises:
        InputError: if there is none, or a field is wrong; with file, line and field.
    """
    try:
        text = path.read_text("utf-8-sig")
        told = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise InputError(f"no sweep can be read from {str(path)!r} ({reason}).") from None
    try:
        return SweepFile.model_validate(told)
    except ValidationError as error:
        raise InputError(f"{'; '.join(problems(error, Origin(path.name, text)))}.") from None


def _beside(text: str, folder: Path) -> str:
    """Return a reference; one without a source is a path, and relative to the file that names it."""
    return text if ":" in text else str(folder / text)

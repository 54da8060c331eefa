"""The contract of a format: how data of one's own lie on disk, and how they are read."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from bench.data.dataset import DataSource
from bench.registry import Registry


class FormatSettings(BaseModel):
    """What a protocol says about data in one format; validated with the folder that its paths are relative to."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class DataFormat:
    """A registered format.

    Attributes:
        settings: model of the settings; its fields are documented, for ``bench list datasets`` names them.
        open: settings to the data set; reads lists of names, and no image.
        says: one line for lists.
        start: settings as a commented TOML table, for ``bench protocol new``.
        table: settings to a table that pins every image on its own, for formats that read such a table.
    """

    name: str
    settings: type[FormatSettings]
    open: Callable[[Any], DataSource]
    says: str
    start: str
    table: Callable[[Any], str] | None = None


FORMATS: Registry[DataFormat] = Registry("data format", "bench.data.formats")


def _beside(value: object, info: Any) -> object:  # pydantic's ValidationInfo, a protocol that no check can look at
    home = (info.context or {}).get("home")
    return Path(home) / value if isinstance(value, str) and home is not None else value


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise ValueError(f"{str(path)!r} is no folder; write its path relative to the protocol's file")
    return path


def _file(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"{str(path)!r} is no file; write its path relative to the protocol's file")
    return path


Folder = Annotated[Path, BeforeValidator(_beside), AfterValidator(_folder)]
"""A folder that exists, written relative to the file of the protocol."""
File = Annotated[Path, BeforeValidator(_beside), AfterValidator(_file)]
"""A file that exists, written likewise."""

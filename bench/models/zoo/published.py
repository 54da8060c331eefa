"""Networks that others published at addresses that stay what they are, fetched or placed, and converted once."""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from bench import download
from bench.errors import ArtefactError, InputError, UsageError
from bench.models.architecture import Architecture
from bench.models.conversion import convert
from bench.models.naming import Changes
from bench.models.source import SOURCES, LoadedModel, ModelRef, ModelSource, architecture, placing
from bench.models.weights import model_folder
from bench.registry import unknown

_Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Published(BaseModel):
    """One network and where its authors keep it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: str
    """Of the file at a commit."""
    sha256: _Hash
    """Of the file as published."""
    weights: _Hash
    """Of the network once it is loaded, whatever file it comes from."""
    key: str | None = None
    """Entry of the file that holds the state dict."""
    rename: Mapping[str, str] = Field(default_factory=dict)
    """Dotted parts of the names of its tensors, and what this benchmark calls them."""
    architecture: str
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    licence: str
    says: str


@cache
def table() -> Mapping[str, Published]:
    """Return the networks by name."""
    text = (resources.files("bench.models.zoo") / "published.toml").read_text("utf-8")
    return TypeAdapter(dict[str, Published]).validate_python(tomllib.loads(text))


def load(ref: ModelRef) -> LoadedModel:
    """Load a network that was fetched or placed, held against the digest of what its authors published."""
    entry, path = _entry(ref.name), _place(ref.name)
    if not path.is_file():
        raise InputError(
            f"published:{ref.name} has no weights at {path}; run: bench models fetch published:{ref.name}, or download "
            f"{entry.address} and run: bench models place published:{ref.name} {Path(entry.address).name}."
        )
    file = ModelRef("checkpoint", str(path), entry.architecture, entry.mean, entry.std)
    loaded = SOURCES[file.source].load(file)
    if loaded.digest != entry.weights:
        raise ArtefactError(
            f"{path} holds weights {loaded.digest[:12]}…, and published:{ref.name} are {entry.weights[:12]}…; remove "
            "the file, then fetch or place it again."
        )
    notes = {"source": entry.address, "licence": entry.licence, "training": entry.says}
    return replace(loaded, ref=ref, notes=notes)


def fetch(name: str) -> Path:
    """Fetch the file that its authors published, convert it, keep what is the network of this name.

    Raises:
        InputError: if it cannot be had.
        ArtefactError: if it is not what was published.
    """
    entry, path = _entry(name), _place(name)
    if path.is_file():
        return path
    # under a name of its own: many files of one repository are called alike
    remote = download.Remote(f"{name}{Path(entry.address).suffix}", entry.address, f"sha256:{entry.sha256}")
    came = download.fetch(remote, path.parent)
    try:
        return place(name, came)
    finally:
        came.unlink()


def place(name: str, given: Path) -> Path:
    """Convert the published file to where it is looked for, or take its weights from a safetensors file.

    Raises:
        UsageError: if weights are there already.
        ArtefactError: if it is not what was published.
    """
    entry, path = _entry(name), _place(name)
    with placing(ModelRef("published", name), path):
        if given.suffix == ".safetensors":
            convert(given, path)
        else:
            download.hold(given, download.Remote(given.name, entry.address, f"sha256:{entry.sha256}"))
            convert(given, path, key=entry.key, changes=Changes(rename=tuple(entry.rename.items())))
    return path


def blank(name: str) -> Architecture:
    """Return the architecture of a network without its weights."""
    return architecture(_entry(name).architecture)


def names() -> dict[str, str]:
    """Return the networks of the table, with what each is."""
    return {name: f"{entry.says}; {entry.architecture}" for name, entry in table().items()}


def _entry(name: str) -> Published:
    if name not in table():
        raise UsageError(unknown("published model", name, list(table())))
    return table()[name]


def _place(name: str) -> Path:
    return model_folder() / "published" / f"{name}.safetensors"


SOURCES.register("published")(
    ModelSource(
        load,
        names,
        says="published:NAME, small networks that others keep at pinned addresses, fetched or placed, and converted",
        blank=blank,
        fetch=fetch,
        place=place,
        at_hand=lambda name: _place(name).is_file(),
    )
)

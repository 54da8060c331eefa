"""Which points a protocol evaluates, holds out and lets recipes look at, and what pins each of these sets."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
FileDigest = Annotated[str, StringConstraints(pattern=r"^(md5:[0-9a-f]{32}|sha256:[0-9a-f]{64})$")]


class Pinned(BaseModel):
    """Points of a data set, pinned by what they decode to or by the files that they are read from."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    first: Annotated[int, Field(ge=0)]
    """Id of the first point."""
    points: Annotated[int, Field(ge=1)]
    digest: str | None = None
    """Over the decoded pixels and labels of all of them."""
    files: Mapping[FileName, FileDigest] = Field(default_factory=dict)
    """Name and published digest of every official file that they are read from; in place of ``digest``."""

    @model_validator(mode="after")
    def _once(self) -> "Pinned":
        if self.digest is not None and self.files:
            raise ValueError("pinned by digest or by files, never by both")
        return self

    @property
    def pinned(self) -> bool:
        """Tell whether no other points can stand in for these."""
        return self.digest is not None or bool(self.files)

    @property
    def pin(self) -> str | None:
        """What pins them, for people; None where nothing does."""
        return self.digest or ", ".join(f"{name} {digest}" for name, digest in sorted(self.files.items())) or None

    @property
    def ids(self) -> range:
        """Their ids, in order."""
        return range(self.first, self.first + self.points)


class Data(Pinned):
    """Which points are evaluated."""

    dataset: str
    """A registered data set, or a format of data of one's own."""
    split: Literal["test", "train"] = "test"
    first: Annotated[int, Field(ge=0)] = 0
    settings: Mapping[str, Any] = Field(default_factory=dict)
    """Of a format: where the data lie and how they are read; the format says which there are."""


class HeldOut(Pinned):
    """Points like those that are evaluated, on which a network that knows those gives itself away."""

    split: Literal["test", "held-out", "train"]


class Calibration(Pinned):
    """Images that recipes and regimes may look at: of the training part, or of what the data set holds out."""

    split: Literal["train", "held-out"]

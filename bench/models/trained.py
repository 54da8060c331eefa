"""What ``bench train`` writes beside the weights of a network: which they are, and how it was trained."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import ArtefactError
from bench.models.weights import file_digest

SCHEMA: Literal["bench.trained/1"] = "bench.trained/1"
FILE = "training.json"


class Trained(BaseModel):
    """The part of the record that says how to load the weights."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_: Annotated[Literal["bench.trained/1"], Field(alias="schema")]
    weights: str
    """Name of the file beside it."""
    sha256: str
    """Of that file."""
    architecture: str
    mean: Annotated[tuple[Annotated[float, Field(allow_inf_nan=False)], ...], Field(min_length=1)]
    std: Annotated[tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...], Field(min_length=1)]


def trained_beside(weights: Path) -> Trained | None:
    """Read the record beside a file of weights; None where there is none, or where it is of another file.

    Raises:
        ArtefactError: if the record is damaged, or the weights are no longer those that it tells of.
    """
    path = weights.with_name(FILE)
    if not path.is_file():
        return None
    try:
        told = Trained.model_validate_json(path.read_text("utf-8"))
    except (OSError, ValidationError, ValueError, RecursionError) as error:
        raise ArtefactError(
            f"{str(path)!r} is no record of bench train ({str(error).splitlines()[0]}); move it away and say what the "
            "weights belong to with --arch, --mean and --std."
        ) from None
    if told.weights != weights.name or not weights.is_file():
        return None
    if (found := file_digest(weights)) != told.sha256:
        raise ArtefactError(
            f"{str(weights)!r} has sha256 {found[:12]}…, and {FILE} beside it tells of {told.sha256[:12]}…; these are "
            "other weights, so say what they belong to with --arch, --mean and --std."
        )
    return told

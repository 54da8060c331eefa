"""What ``bench prune`` writes beside a checkpoint: where the network comes from and how it was pruned."""

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import ArtefactError
from bench.pruning.recipe import Structure
from bench.submission.fields import Count, Exact, Figure, Slug

SCHEMA = "bench.prune/1"
WEIGHTS, MANIFEST = "model.safetensors", "manifest.json"


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Recipe(_Told):
    name: Slug
    version: Count
    structure: Structure


class _File(_Told):
    schema_: Annotated[str, Field(alias="schema", pattern=f"^{SCHEMA}$")]
    model: str
    architecture: str
    mean: Annotated[tuple[Figure, ...], Field(min_length=1)]
    std: Annotated[tuple[Annotated[Figure, Field(gt=0)], ...], Field(min_length=1)]
    recipe: _Recipe
    regime: Slug
    target: Exact | None
    parent_sha256: str
    weights_sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as read.

    Attributes:
        parent: reference of the dense network, a file by its name alone, which then has the same architecture and
            normalisation.
        target: share of prunable weights that should be zero; None where the recipe counts otherwise.
    """

    parent: str
    parent_sha256: str
    architecture: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    weights_sha256: str
    method: str
    structure: Structure
    regime: str
    target: Fraction | None


def manifest_beside(weights: Path) -> Manifest | None:
    """Read the manifest beside a file of weights; None where there is none, or where nothing was pruned.

    Raises:
        ArtefactError: if it is damaged.
    """
    path = weights.with_name(MANIFEST)
    if weights.name != WEIGHTS or not path.is_file():
        return None
    try:
        told = _File.model_validate(_read(path))
    except (OSError, ValidationError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise ArtefactError(
            f"{str(path)!r} is no manifest of bench prune ({reason}); prune again, or move it away and say where the "
            "network comes from with --parent and --method."
        ) from None
    if told.recipe.structure is Structure.DENSE:
        return None
    exact = told.recipe.structure is Structure.UNSTRUCTURED and told.target is not None
    return Manifest(
        parent=told.model,
        parent_sha256=told.parent_sha256,
        architecture=told.architecture,
        mean=told.mean,
        std=told.std,
        weights_sha256=told.weights_sha256,
        method=method(told.recipe.name, told.recipe.version),
        structure=told.recipe.structure,
        regime=told.regime,
        target=Fraction(told.target) if exact and told.target else None,
    )


def method(recipe: str, version: int) -> str:
    """Return the words for what ``bench prune`` did."""
    return f"{recipe} version {version} (bench prune)"


def _read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))

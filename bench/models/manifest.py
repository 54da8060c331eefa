"""Read how the embedded networks are trained and what came out of it."""

import json
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bench.models.training import Adversary, Course
from bench.threats import ThreatModel

Count = Annotated[int, Field(ge=0)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Attacker(_Entry):
    norm: str
    epsilon: str
    steps: Annotated[int, Field(ge=1)]

    @property
    def adversary(self) -> Adversary:
        """What perturbs the batches."""
        return Adversary(ThreatModel.parse(self.norm, self.epsilon), self.steps)


class Network(_Entry):
    """How one network is trained."""

    architecture: str
    says: str
    epochs: Annotated[int, Field(ge=1)]
    batch: Annotated[int, Field(ge=1)]
    learning_rate: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    seed: Count
    adversary: _Attacker | None = None

    @property
    def course(self) -> Course:
        """The training that these settings mean."""
        adversary = self.adversary.adversary if self.adversary else None
        return Course(self.epochs, self.batch, self.learning_rate, self.weight_decay, self.seed, adversary)


class _Data(_Entry):
    dataset: str
    train: Annotated[int, Field(ge=1)]
    test: Annotated[int, Field(ge=1)]


class _Look(_Entry):
    steps: Annotated[int, Field(ge=1)]
    seed: Count
    threats: tuple[tuple[str, str], ...]

    @property
    def adversaries(self) -> dict[str, Adversary]:
        """What looks at a trained network, by the spelling of its threat model."""
        threats = [ThreatModel.parse(norm, epsilon) for norm, epsilon in self.threats]
        return {str(threat): Adversary(threat, self.steps) for threat in threats}


class Manifest(_Entry):
    """What ``models.toml`` says: settings written by people."""

    data: _Data
    look: _Look
    models: Mapping[str, Network]


class Outcome(_Entry):
    """What ``bench train`` recorded about one network; counts are of test points."""

    points: Count
    correct: Count
    standing: Mapping[str, Count]
    """Correct after projected gradient descent, by threat model."""
    bytes: Count
    sha256: str
    """Of the weights file."""


def folder() -> Traversable:
    """Return the folder of weights that ships with the package."""
    return resources.files("bench.models.embedded")


@cache
def manifest() -> Manifest:
    """Return the settings of the embedded networks."""
    return Manifest.model_validate(tomllib.loads((folder() / "models.toml").read_text("utf-8")))


@cache
def outcomes() -> Mapping[str, Outcome]:
    """Return what is recorded of the embedded networks, by name."""
    path = folder() / "models.json"
    records = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return {name: Outcome.model_validate(record) for name, record in records.items()}

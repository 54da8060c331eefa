"""Read a protocol file into a frozen object with a digest over its rules."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from importlib import resources
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from bench.errors import ProtocolError, UsageError
from bench.registry import unknown
from bench.threats import Norm, Scenario, ThreatModel, exact

_WORDS = ("title", "summary", "status", "presets")
"""Keys that are no rules of a standard run; the digest leaves them out."""


def _fraction(value: object) -> Fraction:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not exact; quote a fraction, such as '8/255'")  # noqa: TRY004 - pydantic collects ValueError
    try:
        return exact(value)
    except UsageError as error:
        raise ValueError(str(error)) from None


def _rising(values: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    if list(values) != sorted(set(values)):
        raise ValueError("must rise strictly")
    return values


def _shares(values: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    if any(not 0 < value < 1 for value in values):
        raise ValueError("every sparsity lies strictly between 0 and 1")
    return values


Exact = Annotated[Fraction, BeforeValidator(_fraction)]
Setting = int | float | str | tuple[int, ...]


class _Rules(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Data(_Rules):
    """Which points are evaluated."""

    dataset: str
    split: Literal["test", "train"]
    first: Annotated[int, Field(ge=0)]
    """Id of the first point."""
    points: Annotated[int, Field(ge=1)]
    digest: str | None = None
    """Over the decoded pixels and labels of the points; absent only in a draft."""


class Threat(_Rules):
    """A threat model and the cascade that stands for it."""

    norm: Norm
    epsilon: Exact
    attacks: Annotated[tuple[str, ...], Field(min_length=1)]
    """In the order in which they run, each on the points that still stand."""

    @property
    def model(self) -> ThreatModel:
        """The threat model without its cascade."""
        return ThreatModel(self.norm, self.epsilon)


class Curve(_Rules):
    """The radii at which a robustness curve is read, and the minimum-norm attacks that feed it."""

    norm: Norm
    epsilons: Annotated[tuple[Exact, ...], Field(min_length=1), AfterValidator(_rising)]
    attacks: tuple[str, ...] = ()


class Calibration(_Rules):
    """Training images that recipes and regimes may look at."""

    split: Literal["train"]
    first: Annotated[int, Field(ge=0)]
    points: Annotated[int, Field(ge=1)]


class Training(_Rules):
    """How recipes and regimes that train do so, on the calibration images."""

    epochs: Annotated[int, Field(ge=1)]
    batch: Annotated[int, Field(ge=1)]
    rate: Annotated[float, Field(gt=0)]
    """First learning rate; it falls along a cosine."""
    momentum: Annotated[float, Field(ge=0, lt=1)]
    decay: Annotated[float, Field(ge=0)]
    steps: Annotated[int, Field(ge=1)]
    """Of the PGD attack that adversarial training looks at."""
    beta: Annotated[float, Field(ge=0)]
    """Weight of the robust term in TRADES."""


class Grid(_Rules):
    """The cells that this protocol's board is about."""

    recipes: tuple[str, ...]
    sparsities: Annotated[tuple[Exact, ...], AfterValidator(_rising), AfterValidator(_shares)]
    regimes: tuple[str, ...]


class Preset(_Rules):
    """Other attacks and budgets for one norm; a run under them is no standard run."""

    says: str
    """What it is good for."""
    norm: Norm
    epsilon: Exact | None = None
    """Where the protocol's own radius does not serve."""
    attacks: Annotated[tuple[str, ...], Field(min_length=1)]
    settings: Mapping[str, Mapping[str, Setting]]

    @model_validator(mode="after")
    def _fit_together(self) -> "Preset":
        if set(self.settings) != set(self.attacks):
            raise ValueError(f"settings are for {', '.join(self.settings)}; attacks are {', '.join(self.attacks)}")
        return self


STANDARD = "standard"
"""The preset of every protocol that changes nothing."""


class Protocol(_Rules):
    """One version of the rules; results under the same digest are comparable."""

    name: str
    status: Literal["draft", "released"]
    title: str
    summary: str
    seed: Annotated[int, Field(ge=0)]
    precision: Literal["float32"]
    data: Data
    threats: Annotated[tuple[Threat, ...], Field(min_length=1)]
    curves: tuple[Curve, ...]
    scenarios: tuple[Literal[Scenario.TRANSFER, Scenario.BLACK_BOX], ...]
    """What weaker adversaries are measured besides the one who knows everything."""
    attacks: Mapping[str, Mapping[str, Setting]]
    """Settings by attack name."""
    checks: Mapping[str, Mapping[str, float]]
    """Thresholds by check name."""
    calibration: Calibration
    training: Training
    grid: Grid
    presets: Mapping[str, Preset] = Field(default_factory=dict)
    """Budgets for other purposes, by name."""
    preset: str = STANDARD
    """The one in force; set by ``under``, never by a file."""
    digest: str = ""
    """Sha256 over the canonical JSON of every rule."""

    @model_validator(mode="after")
    def _fit_together(self) -> "Protocol":
        used = {name for threat in self.threats for name in threat.attacks}
        used |= {name for curve in self.curves for name in curve.attacks}
        if missing := sorted(used - set(self.attacks)):
            raise ValueError(f"attacks: no settings for {', '.join(missing)}")
        if unused := sorted(set(self.attacks) - used):
            raise ValueError(f"attacks: {', '.join(unused)} belong to no threat and no curve")
        norms = [threat.norm for threat in self.threats]
        if len(set(norms)) != len(norms):
            raise ValueError("threats: a norm is listed twice")
        if self.status == "released" and self.data.digest is None:
            raise ValueError("data.digest: a released protocol pins its points")
        return self

    def cascade(self, norm: Norm) -> tuple[str, ...]:
        """Return the attacks of this norm in the order they run: the threat's, then those that feed its curve."""
        curves = [name for curve in self.curves if curve.norm is norm for name in curve.attacks]
        return (*self.threat(norm).attacks, *curves)

    def under(self, name: str) -> "Protocol":
        """Return the protocol with the attacks, budgets and radius of a preset in place of its own.

        Raises:
            UsageError: if the protocol has no preset of this name.
        """
        if name == STANDARD:
            return self
        if name not in self.presets:
            raise UsageError(unknown(f"preset of {self.name}", name, [STANDARD, *self.presets]))
        preset = self.presets[name]
        threats = tuple(
            threat.model_copy(update={"epsilon": preset.epsilon or threat.epsilon, "attacks": preset.attacks})
            if threat.norm is preset.norm
            else threat
            for threat in self.threats
        )
        rules = {name for threat in threats for name in threat.attacks}
        rules |= {name for curve in self.curves for name in curve.attacks}
        settings = {name: rule for name, rule in {**self.attacks, **preset.settings}.items() if name in rules}
        return self.model_copy(update={"threats": threats, "attacks": settings, "preset": name})

    def threat(self, norm: Norm) -> Threat:
        """Return the threat of this norm.

        Raises:
            UsageError: if the protocol has none.
        """
        for threat in self.threats:
            if threat.norm is norm:
                return threat
        raise UsageError(f"{self.name} has no {norm} threat; it has {', '.join(t.norm for t in self.threats)}.")


def names() -> list[str]:
    """Return the names of the protocols that ship with this version."""
    folder = resources.files("bench.protocol")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


@cache
def load(name: str) -> Protocol:
    """Load a protocol that ships with this version.

    Raises:
        UsageError: if there is none of this name.
        ProtocolError: if its file breaks the rules for rules.
    """
    if name not in names():
        raise UsageError(unknown("protocol", name, names()))
    return parse((resources.files("bench.protocol") / f"{name}.toml").read_text("utf-8"), where=f"{name}.toml")


def parse(text: str, *, where: str) -> Protocol:
    """Read a protocol from TOML text.

    Raises:
        ProtocolError: naming every key that is unknown, missing or inexact, with its place.
    """
    try:
        rules: dict[str, Any] = tomllib.loads(text)
        for key in sorted({"digest", "preset"} & set(rules)):
            raise ProtocolError(f"{where}: {key} is computed, it cannot be written.")
        return Protocol.model_validate({**rules, "digest": digest(rules)})
    except tomllib.TOMLDecodeError as error:
        raise ProtocolError(f"{where} is not TOML: {error}.") from None
    except ValidationError as error:
        found = "; ".join(
            f"{'.'.join(str(step) for step in problem['loc']) or 'protocol'}: {problem['msg']}"
            for problem in error.errors()
        )
        raise ProtocolError(f"{where}: {found}.") from None


def digest(rules: Mapping[str, Any]) -> str:
    """Return the sha256 over the rules' canonical JSON: sorted keys, no spaces, words left out."""
    kept = {key: value for key, value in rules.items() if key not in _WORDS}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

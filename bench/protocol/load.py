"""Read a protocol file into a frozen object with a digest over its rules."""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cache
from importlib import resources
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from bench.errors import ProtocolError, UsageError
from bench.protocol import released
from bench.protocol.gap import Gap
from bench.protocol.origin import Origin
from bench.protocol.points import Calibration, Data, HeldOut
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

_NAMED = re.compile(r"(?P<keys>[a-z0-9.-]+): ")
"""How a message about rules that do not fit together begins: with the table at fault."""


class _Rules(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, use_attribute_docstrings=True)


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


class Replacement(_Rules):
    """What a preset puts in place of one norm's threat."""

    norm: Norm
    epsilon: Exact | None = None
    """Where the protocol's own radius does not serve."""
    attacks: Annotated[tuple[str, ...], Field(min_length=1)]


class Preset(_Rules):
    """Other attacks and budgets for some norms; a run under them is no standard run."""

    says: str
    """What it is good for."""
    gaps: tuple[Gap, ...] = ()
    """How much more stood under it than under the rules; nothing where nobody measured that."""
    threats: Annotated[tuple[Replacement, ...], Field(min_length=1)]
    settings: Mapping[str, Mapping[str, Setting]]
    """By attack name, in place of the protocol's; also of the attacks that feed the curves."""


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
    black_box: Mapping[str, Mapping[str, Setting]] = Field(default_factory=dict)
    """Settings of query attacks in the black-box scenario, where they are not those of the cascade.

    Points that the attack was tried on in the cascade are not asked again, whatever its settings were there.
    """
    checks: Mapping[str, Mapping[str, float]]
    """Thresholds by check name."""
    held_out: HeldOut | None = None
    """For the check of this name, which goes with it."""
    calibration: Calibration
    training: Training
    grid: Grid
    presets: Mapping[str, Preset] = Field(default_factory=dict)
    """Budgets for other purposes, by name."""
    preset: str = STANDARD
    """The one in force; set by ``under``, never by a file."""
    digest: str = ""
    """Sha256 over the canonical JSON of every rule."""
    origin: Annotated[Origin, Field(exclude=True, repr=False)]
    """The file behind it."""
    frozen: Annotated["Protocol | None", Field(exclude=True, repr=False)] = None
    """The protocol that this one changes, by a preset or by extending it; None where it stands for itself."""

    @model_validator(mode="after")
    def _settings_belong(self) -> "Protocol":
        used = {name for threat in self.threats for name in threat.attacks}
        if strange := sorted(set(self.black_box) - used):
            raise ValueError(f"black_box: {', '.join(strange)} belong to no threat")
        used |= {name for curve in self.curves for name in curve.attacks}
        if missing := sorted(used - set(self.attacks)):
            raise ValueError(f"attacks: no settings for {', '.join(missing)}")
        if unused := sorted(set(self.attacks) - used):
            raise ValueError(f"attacks: {', '.join(unused)} belong to no threat and no curve")
        return self

    @model_validator(mode="after")
    def _fit_together(self) -> "Protocol":
        norms = [threat.norm for threat in self.threats]
        if len(set(norms)) != len(norms):
            raise ValueError("threats: a norm is listed twice")
        if (self.held_out is None) != ("held-out" not in self.checks):
            raise ValueError(
                "held_out: points are held out for the check held-out, which is named with them or not at all"
            )
        if (out := self.held_out) is not None and out.split == self.data.split:
            inside = self.data.ids
            if out.first < inside.stop and inside.start < out.ids.stop:
                raise ValueError("held_out.first: these points are evaluated, not held out")
        if self.status == "released" and not self.data.pinned:
            raise ValueError("data.digest: a released protocol pins its points, by their digest or by their files")
        for name, preset in self.presets.items():
            for problem in self._misfits(preset):
                raise ValueError(f"presets.{name}: {problem}")
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
        others = {other.norm: other for other in preset.threats}
        threats = tuple(
            threat.model_copy(update={"epsilon": other.epsilon or threat.epsilon, "attacks": other.attacks})
            if (other := others.get(threat.norm))
            else threat
            for threat in self.threats
        )
        rules = {name for threat in threats for name in threat.attacks}
        rules |= {name for curve in self.curves for name in curve.attacks}
        settings = {name: rule for name, rule in {**self.attacks, **preset.settings}.items() if name in rules}
        blind = {name: rule for name, rule in self.black_box.items() if name in rules - set(preset.settings)}
        changes: dict[str, Any] = {"threats": threats, "attacks": settings, "black_box": blind}
        changes |= {"preset": name, "frozen": self.frozen or self}
        return self.model_copy(update=changes)

    def keeps(self, norm: Norm) -> bool:
        """Tell whether the attacks and budgets of a norm are those of the protocol that this one changes, if any."""
        rules = self.frozen
        if rules is None:
            return True
        if norm not in {threat.norm for threat in rules.threats} or self.cascade(norm) != rules.cascade(norm):
            return False
        return all(self.attacks[name] == rules.attacks[name] for name in self.cascade(norm))

    def _misfits(self, preset: Preset) -> Iterator[str]:
        norms = [other.norm for other in preset.threats]
        if len(set(norms)) != len(norms):
            yield "a norm is listed twice"
        curves = {name for curve in self.curves for name in curve.attacks}
        used = {name for other in preset.threats for name in other.attacks}
        if missing := sorted(used - set(self.attacks) - set(preset.settings)):
            yield f"no settings for {', '.join(missing)}"
        if surplus := sorted(set(preset.settings) - used - curves):
            yield f"settings for {', '.join(surplus)}, which belong to none of its threats and to no curve"

    def threat(self, norm: Norm) -> Threat:
        """Return the threat of this norm.

        Raises:
            UsageError: if the protocol has none.
        """
        for threat in self.threats:
            if threat.norm is norm:
                return threat
        raise UsageError(f"{self.name} has no {norm} threat; it has {', '.join(t.norm for t in self.threats)}.")


@cache
def names() -> tuple[str, ...]:
    """Return the names of the protocols that ship with this version."""
    folder = resources.files("bench.protocol")
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


@cache
def load(name: str) -> Protocol:
    """Load a protocol that ships with this version.

    Raises:
        UsageError: if there is none of this name.
        ProtocolError: if its file breaks the rules for rules, or is not what was released under its name.
    """
    protocol = parse(shipped(name), where=f"{name}.toml")
    released.hold(name, protocol.status, protocol.digest)
    return protocol


def parse(text: str, *, where: str) -> Protocol:
    """Read a protocol from TOML text; ``where`` names its file, for messages.

    Raises:
        ProtocolError: naming every key that is unknown, missing or inexact, with file, line and field.
    """
    return settle(*read(Origin(where, text)))


def read(origin: Origin) -> tuple[dict[str, Any], Origin]:
    """Return the rules as a file spells them, unchecked, with where they were read.

    Raises:
        ProtocolError: if it is not TOML, or writes what is computed.
    """
    try:
        rules = tomllib.loads(origin.text)
    except tomllib.TOMLDecodeError as error:
        raise ProtocolError(f"{origin.file} is not TOML: {error}.") from None
    for key in sorted({"digest", "preset", "origin", "frozen"} & set(rules)):
        raise ProtocolError(f"{origin.at(key)} is computed, it cannot be written.")
    return rules, origin


def settle(rules: Mapping[str, Any], origin: Origin, frozen: Protocol | None = None) -> Protocol:
    """Return rules as a protocol; ``frozen`` is the one that they change, if any.

    Raises:
        ProtocolError: naming every key that is unknown, missing or inexact, with file, line and field.
    """
    try:
        return Protocol.model_validate({**rules, "digest": digest(rules), "origin": origin, "frozen": frozen})
    except ValidationError as error:
        raise ProtocolError(f"{'; '.join(problems(error, origin))}.") from None


def shipped(name: str) -> str:
    """Return the text of a protocol that ships with this version.

    Raises:
        UsageError: if there is none of this name.
    """
    if name not in names():
        raise UsageError(unknown("protocol", name, names()))
    return (resources.files("bench.protocol") / f"{name}.toml").read_text("utf-8")


def problems(error: ValidationError, origin: Origin, under: tuple[str, ...] = ()) -> list[str]:
    """Return what is wrong with rules, one phrase a field: file, line, field, what is wrong, what was got.

    Args:
        error: of the model that read them.
        origin: of the rules.
        under: keys that lead to the table which the model read; none for all rules.
    """
    found = []
    for problem in error.errors():
        place = (*under, *problem["loc"])
        says = problem["msg"].removeprefix("Value error, ").rstrip(".")
        if not place and (named := _NAMED.match(says)):  # by a look at all rules together
            place, says = tuple(named["keys"].split(".")), says[named.end() :]
        where = origin.at(*place) if place else origin.file
        given = problem["input"]
        told = problem["type"] not in {"missing", "extra_forbidden", "value_error"} and isinstance(
            given, str | int | float
        )
        found.append(f"{where}: {says}" + (f", got {given!r}" if told else ""))
    return found


def digest(rules: Mapping[str, Any]) -> str:
    """Return the sha256 over the rules' canonical JSON: sorted keys, no spaces, words left out."""
    kept = {key: value for key, value in rules.items() if key not in _WORDS}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

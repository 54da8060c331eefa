"""The values that numbers are made of, read anew from the files of an entry, each with its file, place and digest."""

import hashlib
import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.site.entries import Entry
from bench.site.figures import interval, percent, thousands
from bench.submission.arrays import read_arrays
from bench.submission.files import (
    POINTS_FILE,
    RESULT_FILE,
    SUBMISSION_FILE,
    VERIFICATION_FILE,
    WITHDRAWAL_FILE,
    WITNESSES_FILE,
)
from bench.submission.points import Bits
from bench.submission.score import rate, wilson
from bench.threats import Norm, surface


class Value(NamedTuple):
    """One value: the file that holds it, where in the file, and the value itself."""

    file: str
    """Below the folder of submissions, or of this package for rules."""
    where: str
    value: Any
    sha256: str
    """Of the file."""

    def shown(self) -> str:
        """Return the value as text; of bits, how many are set."""
        if isinstance(self.value, np.ndarray):
            return str(int(self.value.sum()))
        return self.value if isinstance(self.value, str) else json.dumps(self.value, ensure_ascii=False, default=str)


@dataclass(frozen=True, slots=True)
class Formula:
    """How a text is made of values."""

    says: str
    spell: Callable[..., str]


SHARE = Formula("first / second, in percent", lambda count, total: percent(rate(count, total)))
INTERVAL = Formula("95 % interval (Wilson) of first / second, in percent", lambda *of: interval(wilson(*of)))
COUNT = Formula("the count itself", thousands)
PLAIN = Formula("the count itself, as data of the figure", str)
WORDS = Formula("as it is written there", str)


@dataclass(frozen=True, slots=True)
class Field:
    """One number, or one text with numbers, of a page.

    Attributes:
        name: of the field, for people and programs.
        formula: how its text is made of the values.
        values: where they come from.
    """

    name: str
    formula: Formula
    values: tuple[Value, ...]

    @property
    def text(self) -> str:
        """What the page has to show: what the formula makes of the values."""
        return self.formula.spell(*(value.value for value in self.values))

    def plain(self) -> dict[str, Any]:
        """Return the field as plain values."""
        values = [
            {"file": one.file, "where": one.where, "value": one.shown(), "sha256": one.sha256} for one in self.values
        ]
        return {"name": self.name, "text": self.text, "formula": self.formula.says, "values": values}


class Files:
    """The files of one entry, opened as what they are and by nothing that pages are made with."""

    def __init__(self, entry: Entry) -> None:
        self._folder, self._name = entry.path, f"{entry.protocol.name}/{entry.id}"
        self._challenges = [f"challenge-{challenge.name}.json" for challenge in entry.challenges]
        self._digests: dict[str, str] = {}

    def result(self, *steps: str | int) -> Value:
        """Return a value of result.json; None where a step leads nowhere, as what says nothing is left out."""
        return self._at(RESULT_FILE, self.record, steps)

    def people(self, *steps: str | int) -> Value:
        """Return a value of submission.toml."""
        return self._at(SUBMISSION_FILE, self._toml(SUBMISSION_FILE), steps)

    def verification(self, *steps: str | int) -> Value:
        """Return a value of verification.json."""
        return self._at(VERIFICATION_FILE, self._json(VERIFICATION_FILE), steps)

    def levels(self) -> tuple[Value, ...]:
        """Return the level that a verifier gave, where one did."""
        return (self.verification("level"),) if (self._folder / VERIFICATION_FILE).exists() else ()

    def challenge(self, number: int, *steps: str | int) -> Value:
        """Return a value of the record of a challenge, counted from the oldest."""
        return self._at(self._challenges[number], self._json(self._challenges[number]), steps)

    def withdrawal(self, *steps: str | int) -> Value:
        """Return a value of withdrawal.toml."""
        return self._at(WITHDRAWAL_FILE, self._toml(WITHDRAWAL_FILE), steps)

    @cached_property
    def record(self) -> dict[str, Any]:
        """The whole of result.json."""
        return self._json(RESULT_FILE)

    @cached_property
    def points(self) -> dict[str, NDArray[Any]]:
        """The arrays of points.npz, in the order of ids."""
        arrays = read_arrays(self._folder / POINTS_FILE)
        order = arrays["id"].argsort()
        return {name: array[order] for name, array in arrays.items()}

    @cached_property
    def witnesses(self) -> dict[str, NDArray[Any]]:
        """The arrays of witnesses.npz."""
        return read_arrays(self._folder / WITNESSES_FILE)

    def threat(self, norm: Norm) -> int:
        """Return the place of a norm among the threats of result.json."""
        return [threat["norm"] for threat in self.record["threats"]].index(norm.value)

    def correct(self) -> Bits:
        """Return which points are right without an attack, in the order of ids."""
        return np.asarray(self.points["prediction"] == self.points["label"])

    def standing(self, norm: Norm) -> Bits:
        """Return which points stand as best known, less what a verifier and challenges took."""
        radius = np.float32(surface(norm, float(Fraction(self.record["threats"][self.threat(norm)]["epsilon"]))))
        stands = self.correct() & (self.points[f"distance_{norm}"] > radius)
        return np.asarray(stands & ~np.isin(self.points["id"], self._fallen(norm)))

    def stands(self, norm: Norm) -> Value:
        """Return how many points stand as best known."""
        epsilon = self.record["threats"][self.threat(norm)]["epsilon"]
        where = f"points with prediction = label and distance_{norm} > {epsilon}"
        fallen = len(set(self._fallen(norm)))
        where += f", less {fallen} that fell to a verifier or a challenge" if fallen else ""
        return self.counted(where, int(self.standing(norm).sum()))

    def counted(self, where: str, value: Any, file: str = POINTS_FILE) -> Value:
        """Return a value that was counted over arrays."""
        return Value(f"{self._name}/{file}", where, value, self._digest(file))

    def _fallen(self, norm: Norm) -> list[int]:
        records = [self._json(name) for name in self._challenges]
        records += [self._json(VERIFICATION_FILE)] if (self._folder / VERIFICATION_FILE).exists() else []
        threats = [threat for record in records for threat in record["threats"] if threat["norm"] == norm.value]
        return [point for threat in threats for point in threat.get("fallen", ())]

    def _at(self, name: str, found: Any, steps: tuple[str | int, ...]) -> Value:
        for step in steps:
            inside = step in found if isinstance(found, dict) else isinstance(step, int)
            found = found[step] if found is not None and inside else None
        return Value(f"{self._name}/{name}", _spell(steps), found, self._digest(name))

    def _json(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self._folder / name).read_bytes())
        return found

    def _toml(self, name: str) -> dict[str, Any]:
        return tomllib.loads((self._folder / name).read_text("utf-8"))

    def _digest(self, name: str) -> str:
        if name not in self._digests:
            self._digests[name] = hashlib.sha256((self._folder / name).read_bytes()).hexdigest()
        return self._digests[name]


def rule(file: str, *steps: str | int) -> Value:
    """Return a value of a file of rules, ``protocol/NAME.toml`` or ``submission/board.toml``."""
    package, _, name = file.partition("/")
    raw = (resources.files(f"bench.{package}") / name).read_bytes()
    found: Any = tomllib.loads(raw.decode())
    for step in steps:
        found = found[step]
    return Value(f"bench/{file}", _spell(steps), found, hashlib.sha256(raw).hexdigest())


def _spell(steps: tuple[str | int, ...]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return text.removeprefix(".") or "all of it"

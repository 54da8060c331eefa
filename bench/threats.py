"""Norms, threat models with exact radii, and what the adversary knows."""

import re
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from bench.errors import UsageError

SLACK = 1e-5
"""Relative room for float32 rounding on the surface of a Linf or L2 ball; L0 has none."""

_EXACT = re.compile(r"(?P<numerator>\d+)(?:/(?P<denominator>[1-9]\d*))?")


class Norm(StrEnum):
    """How the size of a perturbation is measured, on images in [0, 1]."""

    LINF = "Linf"
    """Largest change of any channel value."""
    L2 = "L2"
    """Euclidean length of the change."""
    L0 = "L0"
    """Number of changed pixels; a position counts once however many channels change."""


class Scenario(StrEnum):
    """What the adversary knows about the pruned model."""

    WHITE_BOX = "white-box"
    TRANSFER = "transfer"
    """Perturbations are crafted on the dense parent."""
    BLACK_BOX = "black-box"
    """Queries only, never a gradient."""


def exact(text: str) -> Fraction:
    """Read a radius or a share written exactly, as ``"8/255"`` or ``"2"``.

    Raises:
        UsageError: for anything else; ``0.031`` is not ``8/255``, so decimals are refused.
    """
    found = _EXACT.fullmatch(text)
    if not found:
        raise UsageError(f"{text!r} is not exact: write a whole number or a fraction such as '8/255'.")
    return Fraction(int(found["numerator"]), int(found["denominator"] or 1))


def norm_of(name: str) -> Norm:
    """Read the name of a norm, ``"Linf"``.

    Raises:
        UsageError: if none is called so.
    """
    if name not in list(Norm):
        raise UsageError(f"No norm is called {name!r}; known: {', '.join(Norm)}.")
    return Norm(name)


def surface(norm: Norm, radius: float) -> float:
    """Return the largest measured distance that counts as within ``radius``; distances are float32 and compared so."""
    return radius if norm is Norm.L0 else radius * (1 + SLACK)


@dataclass(frozen=True, slots=True)
class ThreatModel:
    """A norm and the radius of its ball."""

    norm: Norm
    epsilon: Fraction
    """Linf and L2: pixel units with images in [0, 1]; L0: number of pixels."""

    def __post_init__(self) -> None:
        """Refuse radii that no perturbation can use."""
        if self.epsilon <= 0:
            raise UsageError(f"{self.norm} needs a positive epsilon, got {self.epsilon}.")
        if self.norm is Norm.L0 and self.epsilon.denominator != 1:
            raise UsageError(f"L0 counts pixels, so epsilon must be a whole number, got {self.epsilon}.")

    @classmethod
    def parse(cls, norm: str, epsilon: str) -> "ThreatModel":
        """Build from the spelling used in protocols, e.g. ``("Linf", "8/255")``."""
        return cls(norm_of(norm), exact(epsilon))

    def __str__(self) -> str:
        """Spell the threat model as people do: ``Linf 8/255``, ``L0 5``."""
        return f"{self.norm} {self.epsilon}"

"""The rules of the board, read from ``board.toml``: levels of tests, bands of sparsity, margins of sweet spots."""

import math
import tomllib
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources
from statistics import NormalDist

FILE = "board.toml"


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides ranks and verdicts.

    Attributes:
        significance: of one two-sided test, and of all pairs of a band together; intervals hold one minus it.
        bands: lower edges of the bands above the lowest, rising, as shares in (0, 1).
        kept_robust, kept_clean: shares of the parent's points that a sweet spot keeps at least.
        again: share of the verdicts that may be otherwise in another run.
    """

    significance: Fraction
    bands: tuple[Fraction, ...]
    kept_robust: Fraction
    kept_clean: Fraction
    again: Fraction

    def room(self, points: int) -> int:
        """Return how many of so many verdicts another run may have otherwise under a threat model."""
        return math.ceil(self.again * points)

    def __post_init__(self) -> None:
        shares = (self.significance, *self.bands, self.kept_robust, self.kept_clean, self.again)
        if not all(0 < share < 1 for share in shares) or list(self.bands) != sorted(set(self.bands)):
            raise ValueError(f"{FILE} needs shares between 0 and 1 and rising bands, got {[*map(str, shares)]}")


def _read() -> Rules:
    text = (resources.files("bench.submission") / FILE).read_text("utf-8")
    given = tomllib.loads(text)
    bands = tuple(map(Fraction, given["bands"]))
    kept = given["kept"]
    return Rules(
        Fraction(given["significance"]),
        bands,
        Fraction(kept["robust"]),
        Fraction(kept["clean"]),
        Fraction(given["again"]),
    )


RULES = _read()
SIGNIFICANCE = float(RULES.significance)


def quantile(significance: float) -> float:
    """Return the normal quantile that a two-sided test at this level is held against: 1.96 for 0.05."""
    return NormalDist().inv_cdf(1 - significance / 2)

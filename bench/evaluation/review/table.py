"""What was compared between an entry and what was found of it: one row each, and nothing is left out in silence."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Verdict(StrEnum):
    """What a comparison says."""

    AGREES = "agrees"
    DISAGREES = "disagrees"
    NOT_COMPARED = "not compared"


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison.

    Attributes:
        lowers: it takes points from what the board shows, and says nothing against the entry otherwise.
    """

    what: str
    claimed: str
    found: str
    verdict: Verdict
    lowers: bool = False


@dataclass(slots=True)
class Table:
    """Every comparison of a review, in order."""

    rows: list[Row] = field(default_factory=list)

    def hold(
        self, what: str, claimed: object, found: object, *, agrees: bool | None = None, lowers: bool = False
    ) -> None:
        """Add a comparison; two values agree if they are equal, unless the caller knows better."""
        same = claimed == found if agrees is None else agrees
        verdict = Verdict.AGREES if same else Verdict.DISAGREES
        self.rows.append(Row(what, _spelled(claimed), _spelled(found), verdict, lowers))

    def skip(self, what: str, why: str) -> None:
        """Add what could not be compared, and why."""
        self.rows.append(Row(what, "", why, Verdict.NOT_COMPARED))

    @property
    def disagrees(self) -> bool:
        """Something is not as the entry says."""
        return any(row.verdict is Verdict.DISAGREES for row in self.rows)

    @property
    def refuted(self) -> bool:
        """Something is not as the entry says that a lower count does not mend."""
        return any(row.verdict is Verdict.DISAGREES and not row.lowers for row in self.rows)

    def lines(self) -> list[list[str]]:
        """Return the rows for a table in the terminal."""
        return [[row.what, row.claimed, row.found, row.verdict] for row in self.rows]

    def document(self) -> list[dict[str, Any]]:
        """Return the rows as JSON."""
        keys = ("what", "claimed", "found", "verdict")
        return [dict(zip(keys, line, strict=True)) for line in self.lines()]


def named(ids: Iterable[int], most: int = 8) -> str:
    """Spell a few of many ids."""

    def parts(found: list[int]) -> Iterator[str]:
        yield from map(str, found[:most])
        if len(found) > most:
            yield f"and {len(found) - most} more"

    return ", ".join(parts(sorted(ids)))


def _spelled(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    text = "–" if value is None else str(value)
    return f"{text[:12]}…" if _DIGEST.fullmatch(text) else text

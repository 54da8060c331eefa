"""How a figure becomes a flag, and which points a check looks at."""

import math

import torch
from torch import Tensor

from bench.evaluation.checks.check import Thresholds
from bench.submission.schema import Flag, Level
from bench.text import tidy

FEW = 50
"""Points below which nothing is concluded: the 95 % interval of a share is wider than a quarter then."""


def concluding(points: int, seen: str, meaning: str) -> str:
    """Return what was seen and what it means, or, of a run on few points, that it means nothing yet.

    Args:
        points: of the run.
        seen: a clause about what was counted.
        meaning: a clause that says what is wrong with the network or with the attacks.
    """
    return f"{seen}; {meaning}." if points >= FEW else f"{seen}; a run on {points} points is too small to say why."


def doubt(check: str, level: Level, figure: float | None, threshold: float | None, says: str) -> Flag:
    """Return a flag with its figures rounded to what a reader can use; what is no number is left to the words."""
    return Flag(
        check=check,
        level=level,
        figure=None if figure is None or not math.isfinite(figure) else float(f"{figure:.6g}"),
        threshold=None if threshold is None else float(f"{threshold:.6g}"),
        says=tidy(says, 600),
    )


def graded(check: str, figure: float, thresholds: Thresholds, says: str) -> list[Flag]:
    """Return no flag up to the threshold ``warn``, a warning up to ``withhold``, and beyond it a withheld number."""
    if figure <= thresholds["warn"]:
        return []
    if figure <= thresholds["withhold"]:
        return [doubt(check, Level.WARN, figure, thresholds["warn"], says)]
    return [doubt(check, Level.WITHHOLD, figure, thresholds["withhold"], says)]


GRADED = {"warn": "share above which a reader is warned", "withhold": "share above which the number is withheld"}
"""The thresholds that ``graded`` reads."""


def spread(rows: Tensor, most: float) -> Tensor:
    """Return at most so many of the rows, evenly spaced, so that every part of the data set is looked at."""
    count = int(most)
    if len(rows) <= count:
        return rows
    return rows[torch.arange(count, device=rows.device) * len(rows) // count]


def first(rows: Tensor) -> int:
    """Return the place of the first point where a flag is up."""
    return int(rows.nonzero()[0])

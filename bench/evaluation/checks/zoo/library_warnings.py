"""Library warnings: what a library says while it measures is kept."""

from bench.evaluation.checks.check import CHECKS, Check, Evidence, Stage, Thresholds
from bench.evaluation.checks.doubt import doubt
from bench.submission.schema import Flag, Level


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Turn each warning that was heard into a record."""
    most = int(thresholds["most"])
    flags = [doubt("library-warnings", Level.INFORM, None, None, words[:400]) for words in evidence.heard[:most]]
    if len(evidence.heard) > most:
        says = f"{len(evidence.heard) - most} more warnings were heard."
        flags.append(doubt("library-warnings", Level.INFORM, float(len(evidence.heard)), float(most), says))
    return flags


CHECKS.register("library-warnings")(
    Check(
        name="library-warnings",
        stage=Stage.ATTACKS,
        examine=examine,
        thresholds={"most": "warnings recorded word for word"},
        catches="warnings that scroll by, such as those of an attack library",
        source="Croce & Hein 2020, arXiv:2003.01690, whose package prints its doubts",
    )
)

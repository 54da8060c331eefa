"""Results as the lines of a terminal table."""

from collections.abc import Sequence

from bench.submission.schema import Result, ThreatRecord
from bench.threats import Norm

CAPTION = (
    "Weights left, sparsity in %, clean accuracy in %, robust accuracy in % per threat model as best known; in "
    "brackets what its own cascade leaves, where witnesses from elsewhere take more."
)
"""What the columns hold, in the order of the table."""


def rows(results: Sequence[tuple[str, Result]]) -> tuple[list[str], list[list[str]]]:
    """Return columns and lines, narrow enough for a small terminal: one line per result, a column per threat model."""
    norms = [norm for norm in Norm if any(result.threat(norm) for _, result in results)]
    columns = ["entry", "points", "weights", "sparse", "clean"]
    for norm in norms:
        epsilons = {threat.epsilon for _, result in results if (threat := result.threat(norm))}
        columns.append(f"{norm} {' or '.join(sorted(epsilons))}")
    columns.append("seconds")
    lines = []
    for name, result in results:
        count, pruning = result.data.points, result.pruning
        line = [
            name + marks(result),
            str(count),
            short(pruning.nonzero),
            f"{100 * pruning.zeros / pruning.prunable:.1f}",
            f"{100 * result.clean.correct / count:.1f}",
        ]
        for norm in norms:
            threat = result.threat(norm)
            line.append(_robust(threat, count) if threat else "–")
        lines.append([*line, f"{result.cost.seconds:.1f}"])
    return columns, lines


def _robust(threat: ThreatRecord, points: int) -> str:
    best = f"{100 * threat.best_known / points:.1f}"
    return best if threat.best_known == threat.robust else f"{best} ({100 * threat.robust / points:.1f})"


def marks(result: Result) -> str:
    """Return what has to be known before a figure is read."""
    marks = ["collapsed"] if result.collapsed else []
    marks += [f"preliminary: {result.protocol.preset}"] if result.preliminary else []
    return f" ({', '.join(marks)})" if marks else ""


def short(count: int) -> str:
    """Return a count in three digits: ``950``, ``55k``, ``11.2M``."""
    figure, units = float(count), ["", "k", "M", "G", "T"]
    while figure >= 999.5 and len(units) > 1:
        figure, units = figure / 1000, units[1:]
    return f"{figure:.3g}{units[0]}"

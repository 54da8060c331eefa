"""Results as the lines of a terminal table."""

from collections.abc import Sequence

from bench.submission.schema import Result
from bench.threats import Norm


def rows(results: Sequence[tuple[str, Result]]) -> tuple[list[str], list[list[str]]]:
    """Return columns and lines: one line per result, one column per threat model."""
    norms = [norm for norm in Norm if any(result.threat(norm) for _, result in results)]
    columns = ["entry", "points", "sparsity %", "nonzero", "MACs", "clean %"]
    for norm in norms:
        epsilons = {threat.epsilon for _, result in results if (threat := result.threat(norm))}
        columns.append(f"robust % {norm} {' or '.join(sorted(epsilons))}")
    columns.append("seconds")
    lines = []
    for name, result in results:
        count, pruning = result.data.points, result.pruning
        line = [
            name + (" (collapsed)" if result.collapsed else ""),
            str(count),
            f"{100 * pruning.zeros / pruning.prunable:.2f}",
            f"{pruning.nonzero:,}",
            f"{pruning.nonzero_macs:,}",
            f"{100 * result.clean.correct / count:.1f}",
        ]
        for norm in norms:
            threat = result.threat(norm)
            line.append(f"{100 * threat.robust / count:.1f}" if threat else "–")
        lines.append([*line, f"{result.cost.seconds:.1f}"])
    return columns, lines

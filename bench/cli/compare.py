"""``bench compare``: two runs point by point."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli import output

if TYPE_CHECKING:
    from bench.submission.compare import Difference, Outcome

_HEADER = (
    "",
    "first %",
    "second %",
    "difference",
    "95 % interval",
    "only first",
    "only second",
    "p",
    "verdict",
    "kept %",
)


@click.command("compare")
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(*, first: Path, second: Path, as_json: bool) -> None:
    """Compare the run or submission in folder FIRST with that in SECOND on the points that both have.

    \b
    Each row is an exact McNemar test on paired points. Kept is the share of the dense parent's points that survive on
    the network pruned from it; it stands where one of the two is the other's parent.
    """  # noqa: D301 - click's mark for lines to keep
    from bench.submission.compare import differences, outcomes, read_run

    one, two = read_run(first), read_run(second)
    found, unlike = outcomes(one, two), differences(one, two)
    if as_json:
        output.emit({
            "schema": "bench.compare/1", "first": one.name, "second": two.name, "points": found[0].pair.total,
            "outcomes": [_plain(outcome) for outcome in found],
            "differences": [difference._asdict() for difference in unlike],
        })  # fmt: skip
        return
    _show(str(first), str(second), found, unlike)


def _show(first: str, second: str, found: "list[Outcome]", unlike: "list[Difference]") -> None:
    from bench.site.figures import p_value, percent, signed
    from bench.submission.score import rate

    lines = []
    for what, pair, kept in found:
        ends = pair.interval
        lines.append([
            what, percent(rate(pair.both + pair.first, pair.total)), percent(rate(pair.both + pair.second, pair.total)),
            signed(pair.difference), f"{signed(ends.low)} to {signed(ends.high)}", str(pair.first), str(pair.second),
            p_value(pair.p_value), pair.verdict, "–" if kept is None else percent(kept),
        ])  # fmt: skip
    title = f"{first} against {second}: {found[0].pair.total} points that both have"
    output.show(title, _HEADER, lines, numbers=[1, 2, 3, 4, 5, 6, 7, 9])
    output.show("What differs", ["", "first", "second"], [list(difference) for difference in unlike])


def _plain(outcome: "Outcome") -> dict[str, object]:
    what, pair, kept = outcome
    return {
        "what": what, "both": pair.both, "first": pair.first, "second": pair.second, "neither": pair.neither,
        "p": pair.p_value, "interval": list(pair.interval), "verdict": pair.verdict,
        "retention": None if kept is None else str(kept),
    }  # fmt: skip

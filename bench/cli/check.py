"""``bench check``: run the reliability checks of a protocol on a model, without attacking it."""

from typing import TYPE_CHECKING, Any

import click

from bench.cli import evaluate, output
from bench.cli.pruned import pruned

if TYPE_CHECKING:
    from bench.evaluation.conduct.check_alone import Findings


@click.command("check")
@pruned
@click.option("--limit", type=int, metavar="N", help="Look at the first N points only.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, as_json: bool, **options: Any) -> int:
    """Check a model for everything that can be told before an attack; exit 1 if no number of it would be published.

    \b
    bench check --model embedded:digits-cnn-linf
    bench check --model mine.safetensors --arch digits-cnn --parent embedded:digits-cnn-linf --sparsity 0.9
    """  # noqa: D301 - click's mark for lines to keep
    from bench.evaluation.conduct.check_alone import check_alone

    found = check_alone(evaluate.settle(**options))
    if as_json:
        output.emit(found.document())
    else:
        _show(found)
    return 1 if found.withheld else 0


def _show(found: "Findings") -> None:
    lines = [
        [
            one.check,
            one.stage.value,
            one.word,
            " ".join("" if flag.figure is None else f"{flag.figure:g}" for flag in one.flags or ()),
        ]
        for one in found.findings
    ]
    output.show(f"{found.name} under {found.protocol.name}", ["check", "stage", "verdict", "figure"], lines)
    for flag in found.flags:
        output.say(f"{flag.check}: {flag.says}")

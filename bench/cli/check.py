"""``bench check``: run the reliability checks of a protocol on a model, without attacking it."""

from typing import TYPE_CHECKING, Any

import click

from bench.cli import evaluate, output, reading
from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.evaluation.checks.check import Claim
    from bench.evaluation.conduct.check_alone import Findings


@click.command("check")
@click.option(
    "--model", required=True, metavar="REF", help="embedded:NAME, timm:NAME, robustbench:NAME or a .safetensors file."
)
@click.option(
    "--protocol",
    "protocol_name",
    default="digits-v1",
    show_default=True,
    metavar="NAME|FILE",
    help="The rules: see `bench list protocols`, or a .toml file of one's own.",
)
@click.option("--recipe", default="dense", show_default=True, help="Prune first; see `bench list recipes`.")
@click.option("--sparsity", metavar="SHARE", help="With --recipe: share of prunable weights to remove.")
@click.option("--parent", metavar="REF", help="The dense model that a checkpoint came from.")
@click.option(
    "--structure",
    type=click.Choice(["dense", "unstructured", "2of4", "channel"]),
    help="What a checkpoint claims to be.",
)
@click.option("--claimed", metavar="SHARE", help="The sparsity that a checkpoint claims: 0.9 or 9/10.")
@click.option("--arch", metavar="NAME", help="Of a .safetensors file; see `bench list architectures`; or timm:NAME.")
@click.option("--mean", metavar="R,G,B", help="Input normalisation of a .safetensors file.")
@click.option("--std", metavar="R,G,B", help="Input normalisation of a .safetensors file.")
@click.option("--limit", type=int, metavar="N", help="Look at the first N points only.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(*, parent: str | None, structure: str | None, claimed: str | None, as_json: bool, **options: Any) -> int:
    """Check a model for everything that can be told before an attack; exit 1 if no number of it would be published.

    \b
    bench check --model embedded:digits-cnn-linf
    bench check --model mine.safetensors --arch digits-cnn --parent embedded:digits-cnn-linf --claimed 0.9
    """  # noqa: D301 - click's mark for lines to keep
    from bench.evaluation.conduct.check_alone import check_alone
    from bench.models.source import ModelRef

    claim = _claim(structure, claimed)
    if options["recipe"] != "dense" and (claim or parent):
        raise UsageError("--parent, --structure and --claimed say what a checkpoint is; leave out --recipe.")
    described = {key: options[key] for key in ("arch", "mean", "std")} if parent and ":" not in parent else {}
    dense = None if parent is None else _reference(ModelRef, parent, **described)
    found = check_alone(evaluate.settle(**options), dense, claim)
    if as_json:
        output.emit(found.document())
    else:
        _show(found)
    return 1 if found.withheld else 0


def _claim(structure: str | None, claimed: str | None) -> "Claim | None":
    from bench.evaluation.checks.check import Claim

    if structure is None and claimed is None:
        return None
    share = None if claimed is None else reading.share(claimed)
    chosen: Any = structure or ("dense" if share is None else "unstructured")
    return Claim(structure=chosen, target=share)


def _reference(kind: Any, text: str, arch: str | None = None, mean: str | None = None, std: str | None = None) -> Any:
    return kind.parse(text, architecture=arch, mean=reading.numbers(mean), std=reading.numbers(std))


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

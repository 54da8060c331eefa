"""``bench sweep``: a grid of models, recipes and sparsities under one protocol."""

from pathlib import Path

import click

from bench.cli import evaluate, output, reading


@click.command("sweep")
@click.option(
    "--protocol", "protocol_name", default="digits-v1", show_default=True, metavar="NAME|FILE", help="The rules."
)
@click.option("--model", "models", multiple=True, metavar="REF", help="SOURCE:NAME; repeat. By default all embedded.")
@click.option("--recipe", "recipes", multiple=True, help="Repeat; the dense parent always comes first.")
@click.option("--sparsity", "sparsities", multiple=True, metavar="SHARE", help="Repeat; by default the protocol's.")
@click.option("--regime", default="one-shot", show_default=True, help="What follows pruning.")
@click.option("--limit", type=int, metavar="N", help="Evaluate the first N points only.")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes on this machine.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where the entries' folders go.")
def command(
    *,
    protocol_name: str,
    models: tuple[str, ...],
    recipes: tuple[str, ...],
    sparsities: tuple[str, ...],
    regime: str,
    limit: int | None,
    workers: int,
    out: Path | None,
) -> int:
    """Evaluate every cell of a grid; cells that are there already are left alone, so the command can be repeated."""
    from bench.evaluation.conduct.sweep import cells, sweep
    from bench.models.source import SOURCES, ModelRef
    from bench.protocol.own import find
    from bench.submission.files import RESULT_FILE, read_result

    protocol = find(protocol_name)
    names = models or tuple(f"embedded:{name}" for name in SOURCES["embedded"].names())
    dense, pruned = cells(
        protocol,
        [ModelRef.parse(name) for name in names],
        recipes or protocol.grid.recipes,
        [reading.share(text) for text in sparsities] or protocol.grid.sparsities,
        regime=regime,
        out=out or Path("runs") / protocol.name,
        limit=limit,
    )
    evaluate.tell_deviations(*dense, *pruned)
    results, failed = [], []
    with output.progress() as bars:
        bar = bars.add_task("cells", total=len(dense) + len(pruned))
        for outcome in sweep(dense, pruned, workers):
            bars.advance(bar)
            output.say(f"{outcome.name}: {outcome.says}")
            if outcome.folder:
                results.append((outcome.name, read_result(outcome.folder / RESULT_FILE)))
            else:
                failed.append(outcome.name)
    evaluate.show_results(sorted(results, key=lambda entry: entry[0]))
    return 1 if failed else 0

"""``bench sweep``: a grid of models, recipes and sparsities under one protocol."""

from contextlib import closing
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
    from bench.evaluation.environment import share
    from bench.evaluation.executors.local import Local
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
    results, failed = [], 0
    with output.bar() as bar, closing(Local(workers, share(workers))) as executor:
        bar("cells", 0, len(dense) + len(pruned))
        try:
            for done, outcome in enumerate(sweep(dense, pruned, executor), start=1):
                bar("cells", done, len(dense) + len(pruned))
                output.say(f"{outcome.name}: {outcome.says}")
                if outcome.folder:
                    results.append((outcome.name, read_result(outcome.folder / RESULT_FILE)))
                else:
                    failed += 1
        except KeyboardInterrupt:
            output.say("What was finished is kept; the same command goes on from there.")
            raise
    evaluate.show_results(sorted(results, key=lambda entry: entry[0]))
    if failed:
        output.say(f"{failed} of {len(dense) + len(pruned)} cells failed; the same command goes on with them.")
    return 1 if failed else 0

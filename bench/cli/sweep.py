"""``bench sweep``: a grid of models, recipes and sparsities under one protocol, on one machine or many."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli import evaluate, output, reading
from bench.cli.pruned import measured, told
from bench.cli.sweeping import Board
from bench.errors import IncompleteError, UsageError
from bench.threats import Norm

if TYPE_CHECKING:
    from bench.evaluation.conduct.grid import Block, Planned
    from bench.evaluation.conduct.sweep import Outcome
    from bench.evaluation.executors.executor import Executor
    from bench.protocol.load import Protocol


def _listed(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    """Take lists with commas between their words, and options that are repeated."""
    del ctx, param
    return tuple(word.strip() for text in given for word in text.split(",") if word.strip())


@click.group("sweep", invoke_without_command=True)
@click.option(
    "--file",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A sweep written down as TOML; options beside it go first, but for those that name cells.",
)
@click.option("--protocol", "protocol_name", metavar="NAME|FILE", help="The rules.  [default: digits-v1]")
@click.option(
    "--models",
    "--model",
    "models",
    multiple=True,
    callback=_listed,
    metavar="REF,…",
    help="As --model of `bench evaluate`; repeat or list. By default all embedded.",
)
@click.option(
    "--recipes",
    "--recipe",
    "recipes",
    multiple=True,
    callback=_listed,
    metavar="NAME,…",
    help="Repeat or list; the dense parent always comes first. By default the protocol's.",
)
@click.option(
    "--sparsities",
    "--sparsity",
    "sparsities",
    multiple=True,
    callback=_listed,
    metavar="SHARE,…",
    help="Repeat or list; by default the protocol's.",
)
@click.option(
    "--regimes",
    "--regime",
    "regimes",
    multiple=True,
    callback=_listed,
    metavar="NAME,…",
    help="What follows pruning.  [default: one-shot]",
)
@told
@measured
@click.option(
    "--executor",
    type=click.Choice(["here", "local", "ray"]),
    default="local",
    show_default=True,
    help="Who carries cells out: this process, processes of this machine, or a Ray cluster.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Cells at a time.  [default: one per accelerator or 1; with ray, as many as there is room for]",
)
@click.option("--address", metavar="ADDRESS", help="Of a Ray cluster, such as auto; without it one is started here.")
@click.option("--cpus-per-task", type=click.FloatRange(min=0), default=1.0, show_default=True, help="Cores, for Ray.")
@click.option(
    "--gpus-per-task",
    type=click.FloatRange(min=0),
    metavar="SHARE",
    help="Of an accelerator, for Ray, such as 0.25.  [default: 1 where there is any]",
)
@click.option(
    "--chunk",
    type=click.IntRange(min=1),
    metavar="N",
    help="Cut each cell into parts of N points, so that many workers share one.",
)
@click.option("--shard", metavar="I/N", help="Carry out one part of N of the sweep, into a folder of its own.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where the entries' folders go.")
@click.option("--dry-run", is_flag=True, help="Print the cells, what they cost at most and what is done already.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(
    ctx: click.Context, /, *, executor: str, workers: int | None, address: str | None, cpus_per_task: float,
    gpus_per_task: float | None, chunk: int | None, dry_run: bool, as_json: bool, **options: Any,
) -> int | None:  # fmt: skip
    """Evaluate every cell of a grid; cells that are there already are left alone, so the command can be repeated.

    \b
    bench sweep --models embedded:digits-cnn-linf --recipes magnitude-global,l2-inner --sparsities 1/2,9/10
    bench sweep --file paper.toml --executor ray --address auto
    bench sweep status runs/digits-v1
    """  # noqa: D301 - click's mark for lines to keep
    if ctx.invoked_subcommand is not None:
        return None
    if executor != "ray" and (address or gpus_per_task is not None):
        raise UsageError("--address and --gpus-per-task go with --executor ray.")
    cells, out, shard = _cells(**options)
    if dry_run:
        return _show_plan(cells, out, workers or 1, as_json=as_json)

    def hired() -> "Executor":
        if executor == "here":
            from bench.evaluation.executors.here import Here

            return Here()
        if executor == "ray":
            from bench.evaluation.executors.cluster import Cluster

            return Cluster(workers, address=address, cpus=cpus_per_task, gpus=gpus_per_task)
        return _local(workers, options["device"])

    plans = [cell.plan for cell in cells]
    evaluate.tell_deviations(*plans)
    evaluate.tell_learning(*plans)
    outcomes = _carry_out(cells, out, shard, hired, chunk)
    return _tell(outcomes, out, as_json=as_json)


def _cells(**options: Any) -> "tuple[list[Planned], Path, tuple[int, int] | None]":
    """Return the cells, the folder they go to, and which shard they are, if they are one."""
    from bench.evaluation.conduct.grid import grid
    from bench.evaluation.conduct.shards import deal, place
    from bench.evaluation.search.batch import bytes_of
    from bench.protocol.own import find

    shard = reading.shard(options["shard"])
    options, blocks = _asked(options)
    rules: Protocol = find(options["protocol_name"] or "digits-v1")
    out: Path = options["out"] or Path("runs") / rules.name
    cells = grid(
        blocks,
        rules,
        preset=options["preset"],
        out=out,
        norms=tuple(Norm(norm) for norm in options["norms"]) or None,
        points=options["points"] if isinstance(options["points"], tuple) else reading.points(options["points"]),
        batch_size=reading.batch_size(options["batch_size"]),
        memory=bytes_of(options["memory"]),
        **{name: options[name] for name in ("limit", "device", "seed", "engine")},
    )
    if shard is None:
        return cells, out, None
    return deal(cells, shard, out), place(out, shard), shard


def _asked(options: dict[str, Any]) -> "tuple[dict[str, Any], list[Block]]":
    """Return the options with what a file says beside them, and the blocks of the grid."""
    from bench.evaluation.conduct.grid import Block
    from bench.evaluation.conduct.sweep_file import read_sweep

    named = ("models", "recipes", "sparsities", "regimes", "keep", "parent", "method", "structure", "arch", "mean",
             "std", "parent_arch", "parent_mean", "parent_std")  # fmt: skip
    if options["file"] is None:
        said = evaluate.said_of({name: options[name] for name in named if name not in {"sparsities", "regimes"}})
        return options, [
            Block(
                options["models"],
                options["recipes"],
                tuple(map(reading.share, options["sparsities"])),
                options["regimes"],
                evaluate.file_of({name: options[name] for name in ("arch", "mean", "std")}, ""),
                said,
            )
        ]
    if given := [f"--{name.replace('_', '-')}" for name in named if options[name]]:
        raise UsageError(f"{given[0]} names cells, and so does --file; leave one of them out.")
    path: Path = options["file"]
    read = read_sweep(path)
    beside = {
        "protocol_name": read.protocol if not read.protocol.endswith(".toml") else str(path.parent / read.protocol),
        "norms": read.threats or (),
        "limit": read.limit,
        "points": read.points,
        "seed": read.seed,
        "out": None if read.out is None else path.parent / read.out,
    }
    merged = {**options, **{name: options[name] or value for name, value in beside.items()}}
    source = click.get_current_context().get_parameter_source
    for name in ("preset", "engine"):
        if source(name) is click.core.ParameterSource.DEFAULT:
            merged[name] = getattr(read, name)
    return merged, list(read.blocks(path.parent))


def _local(workers: int | None, device: str) -> "Executor":
    """Return processes of this machine: one per accelerator where they compute, each on its share of the processor."""
    import torch

    from bench.evaluation.environment import share
    from bench.evaluation.executors.local import Local

    accelerators = torch.cuda.device_count() if device in {"auto", "cuda"} else 0
    many = workers or max(1, accelerators)
    return Local(many, share(many), accelerators=accelerators)


def _carry_out(
    cells: "list[Planned]", out: Path, shard: tuple[int, int] | None, hired: Any, chunk: int | None
) -> "list[Outcome]":
    from bench.evaluation.conduct.sweep import Sweep
    from bench.evaluation.record.ledger import Ledger, record_of
    from bench.evaluation.record.standing import SWEEP
    from bench.lock import held

    outcomes, plan = [], cells[0].plan
    with held(out / SWEEP):
        ledger = Ledger(out)
        told = [(cell.name, cell.parent, len(cell.plan.ids)) for cell in cells]
        ledger.begin(record_of(plan.protocol.name, plan.protocol.preset, told, shard))
        with Board(len(cells)).shown() as board, closing(hired()) as executor:
            try:
                for outcome in Sweep(cells, executor, board.hear, ledger, chunk).run():
                    board.end(outcome)
                    outcomes.append(outcome)
            except KeyboardInterrupt:
                output.say("What was finished is kept; the same command goes on from there.")
                raise
            except OSError as error:
                raise IncompleteError(
                    f"stopped by the system ({error.strerror}); the same command goes on from here."
                ) from None
    return outcomes


def _tell(outcomes: "list[Outcome]", out: Path, *, as_json: bool) -> int:
    """Show what came of a sweep, and return its exit code."""
    from bench.submission.files import RESULT_FILE, read_result

    outcomes = sorted(outcomes, key=lambda outcome: outcome.name)
    results = [(one.name, read_result(one.folder / RESULT_FILE)) for one in outcomes if one.folder]
    failed = len(outcomes) - len(results)
    if as_json:
        found = dict(results)
        cells = [
            {
                "entry": one.name,
                "state": "failed" if one.folder is None else "done",
                "says": one.says,
                "result": found[one.name].model_dump(mode="json", by_alias=True) if one.folder else None,
            }
            for one in outcomes
        ]
        output.emit({"schema": "bench.sweep-results/1", "out": str(out), "cells": cells, "failed": failed})
    else:
        evaluate.show_results(results)
    if failed:
        output.say(f"{failed} of {len(outcomes)} cells failed; the same command goes on with them.")
    return 1 if failed else 0


def _show_plan(cells: "list[Planned]", out: Path, workers: int, *, as_json: bool) -> int:
    """Print what a sweep would do and cost, and return the code that it would end with at its start."""
    from bench.evaluation.conduct.forecast import forecast
    from bench.evaluation.record.standing import states

    known = states([(cell.name, cell.plan.out) for cell in cells], out)
    with output.bar() as bar:
        found = forecast(cells, known, workers, bar)
    if as_json:
        output.emit(found.document())
        return found.exit_code
    columns, lines = found.table()
    output.show(f"{len(cells)} cells under {cells[0].plan.protocol.name}", columns, lines, numbers=range(2, 5))
    for line in found.words():
        output.say(line)
    plans = [cell.plan for cell in cells]
    evaluate.tell_deviations(*plans)
    evaluate.tell_learning(*plans)
    return found.exit_code


@command.command("status")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--html", "page", type=click.Path(path_type=Path), metavar="FILE", help="Write a page that says the same."
)
def status_command(*, folder: Path, as_json: bool, page: Path | None) -> int:
    """Say where the cells of a sweep stand, also while it runs; exit 6 while any is left."""
    from bench.atomic import write_atomic
    from bench.evaluation.record.standing import status
    from bench.evaluation.record.standing_shown import document, lines, rendered, words

    found = status(folder)
    if page is not None:
        write_atomic(page, rendered(found).encode())
    if as_json:
        output.emit(document(found))
    else:
        columns, rows = lines(found)
        output.show(f"{folder}: {found.record.protocol}", columns, rows, numbers=range(2, 5))
        for line in words(found):
            output.say(line)
    return 0 if found.whole else IncompleteError.exit_code


@command.command("merge")
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("shards", type=click.Path(path_type=Path), nargs=-1)
def merge_command(*, out: Path, shards: tuple[Path, ...]) -> int:
    """Bring the cells of shards together in OUT; without SHARDS those that lie in it. Exit 6 while any is missing."""
    from bench.evaluation.conduct.shards import merge, shards_in

    missing = merge(out, shards or shards_in(out))
    for name in missing:
        output.say(f"missing: {name}")
    output.say(f"The cells are in {out}." if not missing else f"{len(missing)} are missing; run their shards again.")
    return IncompleteError.exit_code if missing else 0

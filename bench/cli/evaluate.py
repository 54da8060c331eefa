"""``bench evaluate``: prune a model, attack it under a protocol, write the result."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli import output, reading
from bench.cli.onward import onward
from bench.cli.pruned import measured, pruned
from bench.errors import IncompleteError
from bench.threats import Norm

if TYPE_CHECKING:
    from bench.evaluation.plan.ask import File, Said
    from bench.evaluation.plan.plan import Plan
    from bench.submission.schema import Result


@click.command("evaluate")
@pruned
@measured
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where to write: a new folder, or a finished run to add to.",
)
@click.option("--parent-run/--no-parent-run", "parent_first", default=True,
              help="Measure the dense parent first, where no run of it is at hand.")  # fmt: skip
@click.option("--resume/--no-resume", default=True, help="Go on with an interrupted run, or start afresh.")
@click.option("--dry-run", is_flag=True, help="Print at once what would run, what it costs at most and what it lacks.")
@click.option("--rehearse", is_flag=True, help="A dry run that predicts the cost, too, by attacking a few points.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(*, dry_run: bool, rehearse: bool, as_json: bool, **options: Any) -> int:
    """Prune a model, or take one that came pruned; attack it under a protocol, write the result.

    \b
    bench evaluate --model embedded:digits-cnn-linf
    bench evaluate --model embedded:digits-cnn-linf --recipe magnitude-global --sparsity 0.9
    bench evaluate --model mine.safetensors --arch digits-cnn --parent embedded:digits-cnn-linf \\
                   --method "LAMP + TRADES" --sparsity 0.8
    """  # noqa: D301 - click's mark for lines to keep
    settled = settle(**options)
    if dry_run or rehearse:
        return _show_plan(settled, rehearsed=rehearse, as_json=as_json)
    from bench.evaluation.conduct.adding import adding_to

    settled = adding_to(settled)
    tell_deviations(settled)
    tell_learning(settled)
    for remark in settled.remarks:
        output.say(remark)
    folder = carry_out(settled)
    from bench.submission.files import RESULT_FILE, read_result

    result = read_result(folder / RESULT_FILE)
    if as_json:
        output.emit(result.model_dump(mode="json", by_alias=True))
        return 0
    show_results([(settled.name, result)])
    output.say(f"Written to {folder}.")
    for sentence in onward(settled, result, options["protocol_name"]):
        output.say(sentence)
    return 0


def settle(
    *,
    model: str,
    protocol_name: str,
    preset: str = "standard",
    norms: tuple[str, ...] = (),
    points: str | None = None,
    batch_size: str = "auto",
    memory: float | None = None,
    folder: Path | None = None,
    **rest: Any,
) -> "Plan":
    """Turn options into a plan, or raise an error that names the option at fault.

    ``folder`` is where the entry's own folder goes; ``--out`` names that folder itself.
    """
    from bench.evaluation.plan.ask import ask
    from bench.evaluation.search.batch import bytes_of

    settled = ask(
        model,
        protocol_name,
        preset=preset,
        file=file_of(rest, ""),
        said=said_of(rest),
        norms=tuple(Norm(norm) for norm in norms) or None,
        points=reading.points(points),
        batch_size=reading.batch_size(batch_size),
        memory=bytes_of(memory),
        **rest,
    )
    return replace(settled, out=folder / settled.name) if folder else settled


def file_of(options: dict[str, Any], prefix: str) -> "File":
    """Take out of the options what goes with a file of weights."""
    from bench.evaluation.plan.ask import File

    architecture, mean, std = (options.pop(f"{prefix}{name}", None) for name in ("arch", "mean", "std"))
    return File(architecture, reading.numbers(mean), reading.numbers(std))


def said_of(options: dict[str, Any]) -> "Said":
    """Take out of the options what is said of pruning."""
    from bench.evaluation.plan.ask import Said

    sparsity = reading.sparsity(options.pop("sparsity", None), options.pop("compression", None))
    keep = reading.words(options.pop("keep", None))
    names = ("recipe", "regime", "parent", "method", "structure")
    return Said(
        sparsity=sparsity,
        keep=keep,
        parent_file=file_of(options, "parent_"),
        **{name: options.pop(name, None) for name in names},
    )


def tell_deviations(*plans: "Plan") -> None:
    """Say why runs cannot be submitted, each reason once, before any of them has cost anything."""
    from bench.evaluation.conduct.foresight import known_deviations

    for reason in known_deviations(*plans):
        output.say(f"Cannot be submitted: {reason}.")


def tell_learning(*plans: "Plan") -> None:
    """Say before hours of attack that what learns here is submitted by way of a file."""
    learning = dict.fromkeys(plan.request.regime for plan in plans if plan.request.learns)
    if learning:
        output.say(
            f"What learns after it is pruned ({', '.join(learning)}) has other weights on another processor; to submit "
            "it, write it to a file first, with `bench prune`, and measure that."
        )


def carry_out(settled: "Plan") -> Path:
    """Evaluate under a progress bar; an interruption says how to go on."""
    from bench.evaluation.conduct.sweep import alone
    from bench.interface.progress import following

    with following(settled, progress=True, alone="--no-parent-run") as heard:
        try:
            return alone(settled, heard)
        except KeyboardInterrupt:
            output.say("What was finished is kept; the same command goes on from there.")
            raise
        except OSError as error:
            raise IncompleteError(
                f"stopped by the system ({error.strerror}); the same command goes on from here."
            ) from None


def show_results(results: "list[tuple[str, Result]]") -> None:
    """Print one row per result: sparsity, clean and robust accuracy, and what each attack broke."""
    from bench.evaluation.record.summary import CAPTION, rows

    columns, lines = rows(results)
    output.show(CAPTION, columns, lines, numbers=range(1, len(columns)))
    for name, result in results:
        for deviation in result.deviations:
            output.say(f"{name}: not a standard run: {deviation}.")
        for flag in result.flags:
            output.say(f"{name}: {flag.check} ({flag.level.value}): {flag.says}")


def _show_plan(settled: "Plan", *, rehearsed: bool, as_json: bool) -> int:
    """Print what a run would do, need and cost, and return the code that it would end with at its start."""
    from bench.evaluation.conduct.estimate import estimate

    with output.bar() as bar:

        def show(says: str, done: int, total: int) -> None:
            bar(f"{settled.name}: {says}", done, total)

        show("loading", 0, 0)
        found = estimate(settled, rehearsed=rehearsed, show=show)
    if as_json:
        output.emit(found.document())
        return found.exit_code
    columns, lines = found.table()
    output.show(
        f"{settled.name} under {settled.protocol.name}, {len(settled.ids)} points", columns, lines, numbers=range(2, 6)
    )
    for line in found.words():
        output.say(line)
    tell_learning(settled)
    return found.exit_code

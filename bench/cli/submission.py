"""``bench submission``: check submission folders."""

from pathlib import Path

import click

from bench.cli.output import emit, say


@click.group()
def command() -> None:
    """Make and check submissions."""


@command.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def check(folders: tuple[Path, ...], *, as_json: bool) -> int:
    """Print every problem of submission folders; exit 0 if there is none, 3 otherwise."""
    from bench.submission.check import problems

    found = {str(folder): problems(folder) for folder in folders}
    if as_json:
        emit({"schema": "bench.submission-check/1", "problems": found})
    else:
        for folder, sentences in found.items():
            for sentence in sentences:
                click.echo(f"{folder}: {sentence}")
    wrong = sum(bool(sentences) for sentences in found.values())
    say(f"{len(folders)} checked, {len(folders) - wrong} without a problem." if len(folders) > 1 or not wrong else "")
    return 3 if wrong else 0

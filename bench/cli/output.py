"""How commands speak: results on standard output, progress and words on standard error."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from bench.submission.files import canonical


def console(*, stderr: bool = False) -> Console:
    """Return a console that respects NO_COLOR, CI and the absence of a terminal."""
    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def emit(document: dict[str, Any]) -> None:
    """Print one JSON document on standard output."""
    click.echo(canonical(document).decode(), nl=False)


def say(words: str) -> None:
    """Print one line for people on standard error."""
    click.echo(words, err=True)


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = ()) -> None:
    """Print a table on standard output; ``numbers`` are the columns to align to the right."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        figures = index in numbers  # names may take two lines, figures never lose a digit
        table.add_column(column, justify="right" if figures else "left", no_wrap=figures, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))  # plain text: a name is no markup
    screen = console()
    if not screen.is_terminal:
        screen.width = 200
    screen.print(table)


@contextmanager
def progress() -> Iterator[Progress]:
    """Show bars with time left on a terminal, nothing elsewhere."""
    screen = console(stderr=True)
    quiet = not screen.is_terminal or bool(os.environ.get("CI"))
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=screen,
        disable=quiet,
        transient=True,
    ) as bars:
        yield bars

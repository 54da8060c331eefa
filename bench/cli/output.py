"""How commands speak: results on standard output, progress and words on standard error."""

import json
import sys
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.interface.progress import bar, say
from bench.text import hidden, printable

__all__ = ["bar", "console", "emit", "line", "say", "show"]


def console(*, stderr: bool = False) -> Console:
    """Return a console that respects NO_COLOR, CI and the absence of a terminal."""
    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def emit(document: dict[str, Any]) -> None:
    """Print one JSON document on standard output; what does not show there is escaped as JSON does it."""
    text = json.dumps(document, sort_keys=True, indent=2, ensure_ascii=not _unicode(), allow_nan=False)
    click.echo("".join(_escaped(sign) if hidden(sign) and sign != "\n" else sign for sign in text), sys.stdout)


def _unicode() -> bool:
    """Tell whether standard output takes every character."""
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")


def _escaped(sign: str) -> str:
    # a character that does not show stands inside a JSON string, nowhere else
    return f"\\u{ord(sign):04x}" if sign.isascii() else json.dumps(sign)[1:-1]


def line(words: str) -> None:
    """Print one line of a result on standard output, whatever file its words come from."""
    click.echo(printable(words), sys.stdout)


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = ()) -> None:
    """Print a table on standard output; ``numbers`` are the columns to align to the right."""
    # plain text throughout: a name is no markup, and what a file says moves no cursor
    table = Table(title=Text(printable(title)), title_justify="left", box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        figures = index in numbers  # names may take two lines, figures never lose a digit
        table.add_column(
            Text(printable(column)), justify="right" if figures else "left", no_wrap=figures, overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    screen = console()
    if not screen.is_terminal:
        screen.width = 200
    screen.print(table)

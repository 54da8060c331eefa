"""How a sweep is shown while it runs: a table that stays up to date on a terminal, a line for each cell elsewhere."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bench.cli import output
from bench.text import printable

if TYPE_CHECKING:
    from bench.evaluation.conduct.carry import Said
    from bench.evaluation.conduct.sweep import Outcome

_ROWS = 20
"""Cells that run, shown at most."""


class Board:
    """Keeps count of the cells of a sweep."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._failed, self._there = total, 0, 0, 0
        self._began = time.monotonic()
        self._running: dict[str, str] = {}
        self._live: Live | None = None

    @contextmanager
    def shown(self) -> Iterator["Board"]:
        """Show the table while the block runs, where there is a terminal and nobody said CI."""
        screen = output.console(stderr=True)
        if not screen.is_terminal or os.environ.get("CI"):
            yield self
            return
        with Live(self._table(), console=screen, transient=True, refresh_per_second=4) as self._live:
            yield self

    def hear(self, cell: str, said: "Said") -> None:
        """Hear of a cell that is carried out."""
        if said.to == "watch":
            threat, attack, done, rounds, standing = said.words
            self._running[cell] = f"{threat} {attack} {done + 1}/{rounds}, {standing} standing"
        elif said.to in {"stage", "announce"}:
            self._running[cell] = said.words[0] if said.to == "stage" else "loading"
        elif said.to == "again":
            output.say(f"{cell}: {said.words[0]}")
        self._draw()

    def end(self, outcome: "Outcome") -> None:
        """Hear of a cell that ended, and say so."""
        self._running.pop(outcome.name, None)
        self._failed += outcome.folder is None
        self._there += outcome.says == "there already"
        self._done += outcome.folder is not None
        output.say(f"{outcome.name}: {outcome.says}")
        self._draw()

    def _draw(self) -> None:
        if self._live is not None:
            self._live.update(self._table())

    def _table(self) -> Any:
        from bench.evaluation.conduct.estimate import duration

        spent = time.monotonic() - self._began
        measured = self._done - self._there
        left = self._total - self._done - self._failed
        head = f"{self._done} done, {len(self._running)} running, {self._failed} failed, {left} left of {self._total}"
        if measured and left:
            head += f"; about {duration(spent / measured * left)} left"
        table = Table(box=None, pad_edge=False, show_header=False)
        for name, says in list(self._running.items())[:_ROWS]:
            table.add_row(Text(printable(name)), Text(printable(says)))
        return Group(Text(head, style="bold"), table)

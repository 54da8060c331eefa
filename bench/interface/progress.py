"""Shows how far a run is: a bar on a terminal and in a notebook, with words for people on standard error."""

import html
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.errors import UsageError
from bench.text import printable

if TYPE_CHECKING:
    from bench.evaluation.conduct.carry import Listener
    from bench.evaluation.conduct.rehearsal import Show
    from bench.evaluation.plan.plan import Plan
    from bench.evaluation.search.cascade import Watch
    from bench.evaluation.search.step import Step


def say(words: str) -> None:
    """Print one line for people on standard error, whatever file its words come from."""
    click.echo(printable(words), sys.stderr)


@contextmanager
def bar() -> "Iterator[Show]":
    """Show one bar with time left on a terminal or in a notebook while the block runs; nothing elsewhere, nor in CI.

    What the block gets takes what is at work, the parts that are finished, and the parts in all, 0 where unknown.
    """
    screen = Console(stderr=True, highlight=False, soft_wrap=True)
    wanted = not os.environ.get("CI")
    if screen.is_jupyter and wanted:
        picture = _Picture()
        try:
            yield picture.show
        finally:
            picture.clear()
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=screen,
        disable=not (screen.is_terminal and wanted),
        transient=True,
    ) as bars:
        only = bars.add_task("", total=None)

        def show(says: str, done: int, total: int) -> None:
            bars.update(only, description=escape(printable(says)), completed=done, total=total or None)

        yield show


@contextmanager
def following(asked: "Plan", progress: "bool | Watch | None", alone: str) -> "Iterator[Listener]":
    """Follow an evaluation, and the run of a dense parent that is made first.

    Args:
        asked: the plan to carry out.
        progress: True for a bar and words, a callable that hears of every round instead, else silence.
        alone: how the caller says that the parent's run is to be left out.

    Raises:
        UsageError: if ``progress`` is none of these.
    """
    from bench.evaluation.conduct.carry import Listener

    shown, watch = _chosen(progress)
    if not shown:
        yield Listener(watch)
        return
    with bar() as show:
        rounds = Rounds(show)
        rounds.begin(asked.name, asked.steps, asked.classes)

        def announce(plan: "Plan") -> None:
            rounds.begin(plan.name, plan.steps, plan.classes)
            if plan.out != asked.out:
                _tell_of_parent(plan, alone)

        yield Listener(rounds.watch, announce, say, rounds.stage)


@contextmanager
def watching(
    name: str, steps: "Sequence[Step]", classes: int, progress: "bool | Watch | None"
) -> "Iterator[Watch | None]":
    """Follow the attacks of one cascade; see ``following``."""
    shown, watch = _chosen(progress)
    if not shown:
        yield watch
        return
    with bar() as show:
        rounds = Rounds(show)
        rounds.begin(name, steps, classes)
        yield rounds.watch


class Rounds:
    """Adds up the rounds of attacks into how much of their whole is done."""

    def __init__(self, show: "Show") -> None:
        self._show = show
        self._name, self._done, self._total = "", 0, 0
        self._ahead: dict[tuple[str, str], int] = {}

    def begin(self, name: str, steps: "Sequence[Step]", classes: int) -> None:
        """Start from nothing with the attacks of another plan."""
        self._name, self._done, self._total = name, 0, 0
        self._ahead = {}
        for step in steps:
            self._ahead[str(step.threat), step.attack.name] = self._total
            self._total += len(step.attack.rounds(step.settings, step.threat, classes))
        self._show(f"{name}: loading", 0, self._total)

    def watch(self, threat: str, attack: str, done: int, rounds: int, standing: int) -> None:
        """Hear of a round as a cascade tells it; attacks that run once more for a scenario take nothing back."""
        self._done = max(self._done, self._ahead[threat, attack] + done)
        self._show(f"{self._name}: {threat} {attack} {done + 1}/{rounds}, {standing} standing", self._done, self._total)

    def stage(self, says: str) -> None:
        """Hear what is at work where no attack is."""
        self._show(f"{self._name}: {says}", self._done, self._total)


class _Picture:
    """A bar in the output of a notebook's cell, which needs no widgets to be installed."""

    def __init__(self) -> None:
        from IPython.display import display

        self._began, self._done = time.monotonic(), 0
        self._handle: Any = display(_bundle("", ""), raw=True, display_id=True)

    def show(self, says: str, done: int, total: int) -> None:
        """Draw the bar anew; an evaluation has some dozens of rounds, so no picture is left out."""
        if done < self._done:  # a parent's run is over, and the one that was asked for begins
            self._began = time.monotonic()
        self._done = done
        spent = time.monotonic() - self._began
        words = f"{printable(says)}, {_clock(spent)}"
        if total:
            left = f", about {_clock(spent * (total - done) / done)} left" if done else ""
            words = f"{done}/{total} {words}{left}"
        share = f' value="{done}" max="{total}"' if total else ""
        self._handle.update(_bundle(words, f"<progress{share}></progress> {html.escape(words)}"), raw=True)

    def clear(self) -> None:
        """Leave nothing of it in the notebook."""
        self._handle.update(_bundle("", ""), raw=True)


def _bundle(plain: str, rich: str) -> dict[str, str]:
    return {"text/plain": plain, "text/html": rich}


def _clock(seconds: float) -> str:
    minutes, left = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{left:02}"


def _chosen(progress: "bool | Watch | None") -> "tuple[bool, Watch | None]":
    """Return whether a bar is shown, and who hears of the rounds instead."""
    if progress is None or isinstance(progress, bool):
        return bool(progress), None
    if not callable(progress):
        raise UsageError(
            "progress should be True for a bar, False for none, or a callable that takes (threat, attack, rounds done, "
            f"rounds in all, points standing), got {progress!r}."
        )
    return False, progress


def _tell_of_parent(plan: "Plan", alone: str) -> None:
    """Say that the parent is measured first, and what that costs at most, before its attacks begin."""
    from bench.evaluation.conduct.estimate import estimate

    say(
        f"No run of the dense parent {plan.request.model} under these rules is at hand: it is measured first, into "
        f"{plan.out} ({alone} leaves it out)."
    )
    say(estimate(plan).words()[0])

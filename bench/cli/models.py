"""``bench models``: weights of other people's networks: what is here, and how the others get here."""

from collections.abc import Callable
from pathlib import Path

import click

from bench.cli import output
from bench.errors import UsageError


@click.group("models")
def command() -> None:
    """Fetch and place weights of other people's networks; they lie in BENCH_MODEL_DIR."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def table(*, as_json: bool) -> None:
    """List the networks whose weights are on this machine; `bench list models WORD` finds the others."""
    from bench.models.source import SOURCES

    found = [
        [f"{name}:{model}", says]
        for name in SOURCES
        for model, says in SOURCES[name].names().items()
        if SOURCES[name].at_hand(model)
    ]
    if as_json:
        output.emit({"schema": "bench.models/1", "models": [model for model, _ in found]})
    else:
        output.show("", ["model", "says"], found)


@command.command("fetch")
@click.argument("ref")
def fetch(*, ref: str) -> None:
    """Fetch the weights of REF, such as timm:NAME.TAG or robustbench:DATASET/THREAT/NAME, as safetensors."""
    from bench.download import showing

    name, bring = _able(ref, "fetch")
    with output.bar() as draw, showing(draw):
        path = bring(name)
    _told(ref, path)


@command.command("place")
@click.argument("ref")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def place(*, ref: str, file: Path) -> None:
    """Put FILE, the weights of REF that you have from elsewhere, where they are looked for, if they load."""
    name, put = _able(ref, "place")
    _told(ref, put(name, file))


def _able(ref: str, what: str) -> tuple[str, Callable[..., Path]]:
    from bench.models.source import SOURCES

    source, _, name = ref.partition(":")
    able = [other for other in SOURCES if getattr(SOURCES[other], what) is not None]
    do: Callable[..., Path] | None = getattr(SOURCES[source], what) if source in SOURCES else None
    if do is None or not name:
        raise UsageError(
            f"{ref!r} should be {' or '.join(f'{other}:NAME' for other in able)}; nothing else is {what}ed."
        )
    return name, do


def _told(ref: str, path: Path) -> None:
    from bench.evaluation.plan.fitting import fitting
    from bench.models.source import ModelRef, load
    from bench.models.weights import file_digest

    output.line(f"{file_digest(path)}  {path}")
    first, *others = fitting(load(ModelRef.parse(ref))) or ["FILE"]
    output.say(f"To measure it: bench evaluate --model {ref} --protocol {first}")
    if others:
        output.say(f"Its images are also those of {', '.join(others)}.")
    elif first == "FILE":
        output.say("No protocol that ships has its images and classes; bench protocol new FILE begins one.")

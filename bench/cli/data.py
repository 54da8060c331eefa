"""``bench data``: the files of data sets: where they stand, how they get here, whether they are the published ones."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli import output
from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.data.official import Official

_SPLITS = ("test", "train")


@click.group("data")
def command() -> None:
    """Fetch, place and check the files of data sets; they lie in BENCH_DATA_DIR."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def table(*, as_json: bool) -> None:
    """List the published files of every data set: address, digest, terms, and how each stands; reads them all."""
    from bench.data.dataset import DATASETS

    named = [(name, official) for name in DATASETS if (official := DATASETS[name].official)]
    lines = [[name, *line, official.terms] for name, official in named for line in _lines(official)]
    _print("", ["data set", "split", "file", "digest", "from", "state", "terms"], lines, as_json=as_json)


@command.command("fetch")
@click.argument("name")
@click.option("--split", type=click.Choice(_SPLITS), help="Only the files of one split.")
def fetch(*, name: str, split: str | None) -> None:
    """Fetch the files of data set NAME; a broken download is gone on with, and what is not as published set aside."""
    from bench.download import showing

    official = _official(name)
    output.say(f"{name}: {official.terms}.")
    for wanted in (split,) if split else official.files:
        for aside in filter(None, map(official.set_aside, official.of(wanted))):
            output.say(f"What lay there was not as published; it is {aside} now.")
        with output.bar() as draw, showing(draw):
            official.obtain(wanted)
        output.line(f"{wanted}: {', '.join(remote.name for remote in official.of(wanted))} in {official.home}")


@command.command("place")
@click.argument("name")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
def place(*, name: str, files: tuple[Path, ...]) -> None:
    """Copy FILES that you have from elsewhere to where data set NAME looks for them, if they are the published ones."""
    official = _official(name)
    for given in files:
        output.line(str(official.place(given)))


@command.command("check")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(*, name: str, as_json: bool) -> int:
    """Hold the files of data set NAME that are there against the published digests, and name those that are absent."""
    lines = list(_lines(_official(name)))
    _print("", ["split", "file", "digest", "from", "state"], lines, as_json=as_json)
    return 0 if all(line[-1].startswith(("as published", "there", "absent")) for line in lines) else 4


def _official(name: str) -> "Official":
    from bench.data.dataset import DATASETS

    official: Official | None = DATASETS[name].official
    if official is None:
        raise UsageError(f"{name} comes with what is installed; nothing of it has to be fetched.")
    return official


def _lines(official: "Official") -> list[list[str]]:
    return [[split, file.name, file.spelled, file.address, state] for split, file, state in official.states()]


def _print(title: str, columns: list[str], lines: list[list[str]], *, as_json: bool) -> None:
    if as_json:
        files = [dict(zip(columns, line, strict=True)) for line in lines]
        output.emit({"schema": "bench.data/1", "files": files})
    else:
        output.show(title, columns, lines)

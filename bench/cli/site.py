"""``bench site``: build, check and serve the leaderboard."""

from pathlib import Path

import click

from bench.cli.output import say
from bench.errors import DisagreementError


@click.group()
def command() -> None:
    """Build, check and serve the leaderboard."""


@command.command()
@click.option("--submissions", type=click.Path(path_type=Path), default=Path("submissions"), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("leaderboard"), show_default=True)
@click.option(
    "--check", "compare", is_flag=True, help="Write nothing; fail if the folder differs from what would be built."
)
def build(submissions: Path, out: Path, *, compare: bool) -> None:
    """Turn submissions into the site; the same submissions give the same bytes."""
    from bench.site.build import build as make
    from bench.site.place import differences, place

    files = make(submissions)
    if compare:
        if found := differences(files, out):
            raise DisagreementError(
                f"{str(out)!r} is not what {str(submissions)!r} gives ({len(found)} files: {', '.join(found[:5])}); "
                "build it again."
            )
        say(f"{out} holds exactly what {submissions} gives: {len(files)} files.")
        return
    written = place(files, out)
    say(f"{len(files)} files, {written} changed. Open {(out / 'index.html').resolve().as_uri()}")

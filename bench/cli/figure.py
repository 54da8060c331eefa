"""``bench figure``: a figure of the leaderboard as a file for a paper or a talk."""

from pathlib import Path

import click

from bench.cli.output import line, say
from bench.errors import UsageError

KINDS = (".svg", ".pdf")


@click.command()
@click.argument("name", required=False)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.svg|FILE.pdf",
              help="What to write, of the kind that its ending says; by default NAME's last part as PDF.")  # fmt: skip
@click.option("--submissions", type=click.Path(path_type=Path), default=Path("submissions"), show_default=True)
def command(name: str | None, out: Path | None, submissions: Path) -> None:
    """Draw the figure that pages call NAME, from the submissions; without NAME, list those of boards and guides.

    Figures of an entry are called PROTOCOL/ENTRY/FIGURE, as its page says beneath them.
    """
    from bench.atomic import write_atomic
    from bench.registry import unknown
    from bench.site.drawings import boards, entry
    from bench.site.entries import read
    from bench.site.render import pdf, svg

    if out is not None and out.suffix not in KINDS:
        raise UsageError(f"--out {str(out)!r} ends in none of {', '.join(KINDS)}.")
    catalogue = read(submissions)
    if name is None:
        for drawing in boards(catalogue):
            line(f"{drawing.key}  {drawing.title}")
        return
    known = {drawing.key: drawing for drawing in [*entry(catalogue, name), *boards(catalogue)]}
    if name not in known:
        raise UsageError(unknown("figure", name, list(known)))
    place = out or Path(f"{name.rpartition('/')[2]}.pdf")
    write_atomic(place, (svg if place.suffix == ".svg" else pdf)(known[name]))
    say(f"{place}: {known[name].title}.")

"""``bench site``: build, check, serve and export the leaderboard."""

from pathlib import Path

import click

from bench.cli.output import emit, line, say
from bench.errors import DisagreementError, InputError, UsageError


@click.group()
def command() -> None:
    """Build, check, serve and export the leaderboard."""


@command.command()
@click.option("--submissions", type=click.Path(path_type=Path), default=Path("submissions"), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("leaderboard"), show_default=True)
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="Keep there what was drawn, printed and examined, for the next build.")  # fmt: skip
@click.option(
    "--check", "compare", is_flag=True, help="Write nothing; fail if the folder differs from what would be built."
)
def build(submissions: Path, out: Path, keep: Path | None, *, compare: bool) -> None:
    """Turn submissions into the site; the same submissions give the same bytes."""
    from bench.cli.main import cli
    from bench.site.build import build as make
    from bench.site.place import differences, place, strangers

    # what is compared is made anew
    files = make(submissions, None if compare else keep, cli)
    if compare:
        if found := differences(files, out):
            raise DisagreementError(
                f"{str(out)!r} is not what {str(submissions)!r} gives ({len(found)} files: {', '.join(found[:5])}); "
                "build it again."
            )
        say(f"{out} holds exactly what {submissions} gives: {len(files)} files.")
        return
    changed = place(files, out)
    for path in strangers(files, out):
        say(f"{path} was not written by any build and is left alone.")
    say(f"{len(files)} files, {len(changed)} changed. Open {(out / 'index.html').resolve().as_uri()}")


@command.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("leaderboard"))
def check(folder: Path) -> int:
    """Print every broken link, missing anchor, foreign origin and overweight page; exit 0 if there is none, 3 else."""
    from bench.site.inspect import assets, problems, read

    files = read(folder)
    if "index.html" not in files:
        raise InputError(f"{str(folder)!r} holds no index.html; run bench site build first.")
    found = problems(files)
    for sentence in found:
        line(sentence)
    say(f"{len(files)} files, {len(found)} problems, shared assets {assets(files) / 1000:.0f} kB compressed.")
    return 3 if found else 0


@command.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("leaderboard"))
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
def serve(folder: Path, port: int) -> None:
    """Serve a built site on this machine alone, until interrupted."""
    from bench.site.serve import server

    with server(folder, port) as running:
        say(f"http://127.0.0.1:{running.server_port}/  (Ctrl-C ends it)")
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            say("Stopped.")


@command.command()
@click.option("--dataset", required=True, metavar="ORG/NAME", help="Repository of the benchmark on the Hub.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to make.")
@click.option("--url", metavar="https://…", help="Where the site lies; results then link to their entries.")
@click.option("--submissions", type=click.Path(path_type=Path), default=Path("submissions"), show_default=True)
def hub(dataset: str, out: Path, url: str | None, submissions: Path) -> None:
    """Write the files by which the Hugging Face Hub shows the board: eval.yaml, and .eval_results for each entry."""
    from bench.atomic import whole_folder
    from bench.site.entries import read
    from bench.site.hub import export, repository
    from bench.submission.links import https

    try:
        link = None if url is None else https(url)
    except ValueError as error:
        raise UsageError(f"{error}.") from None
    catalogue = read(submissions)
    files = export(catalogue, dataset, link)
    with whole_folder(out) as folder:
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
    known = {entry: place for entry in catalogue if (place := repository(entry))}
    for entry, place in known.items():
        line(f"models/{entry.protocol.name}/{entry.id} goes to {place}")
    models = sum(path.startswith("models/") for path in files)
    say(f"{out / 'dataset'} goes to {dataset}; {models} results, {len(known)} of whose weights lie on the Hub.")


@command.command()
@click.argument("entry")
@click.argument("field", required=False)
@click.option("--submissions", type=click.Path(path_type=Path), default=Path("submissions"), show_default=True)
@click.option("--site", type=click.Path(path_type=Path), default=Path("leaderboard"), show_default=True,
              help="The built site, whose page has to show what is traced.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def trace(entry: str, field: str | None, submissions: Path, site: Path, *, as_json: bool) -> None:
    """Say of what values, in which files, FIELD of ENTRY is made; without FIELD, of every number that it shows."""
    from bench.site.entries import read
    from bench.site.trace import find, hold, traced

    catalogue = read(submissions)
    found = find(catalogue, entry)
    told = traced(catalogue, found, field)
    hold(site, told)
    if as_json:
        fields = [{"page": page, **one.plain()} for page, shown in told.items() for one in shown]
        emit({"schema": "bench.trace/1", "entry": f"{found.protocol.name}/{found.id}", "fields": fields})
        return
    for page, shown in told.items():
        line(page)
        for one in shown:
            line(f"  {one.name}: {one.text}  ({one.formula.says})")
            for value in one.values if field else ():
                line(f"    {value.shown()}  {value.file}  {value.where}")
                line(f"      sha256 {value.sha256}")

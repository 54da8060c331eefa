"""From submissions to the bytes of every file of the site."""

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import click

from bench.site import (
    boards,
    croissant,
    deploy,
    documents,
    exports,
    frame,
    guides,
    literature,
    pages,
    plots,
    printing,
    records,
    vendor,
)
from bench.site.downloads import badge, bibtex, changes, checksums, feed, published, record, table
from bench.site.draw import Drawing, definitions
from bench.site.entries import Catalogue, read
from bench.site.press import DATA, Press
from bench.site.render import pictures
from bench.site.store import Store, opened
from bench.submission.files import canonical

_NEVER = 1_000_000
"""Collections of the middle generation before one of the oldest."""


def build(submissions: Path, keep: Path | None = None, commands: click.Group | None = None) -> dict[str, bytes]:
    """Return the site's files, by path; the same submissions give the same bytes.

    ``keep`` is a folder in which builds leave what they drew, printed and examined for the next one; ``commands`` is
    the command line that the documentation describes, without which it has no page about it.

    Raises:
        SubmissionError: if any submission has a problem.
    """
    with opened(keep) if keep is not None else nullcontext() as store, _settled():
        return _build(submissions, store, commands)


@contextmanager
def _settled() -> Iterator[None]:
    """Let the collector look for rubbish among what is new alone: what stayed stays until the site is there.

    It would walk all of ten thousand entries, millions of objects, whenever as many more have come.
    """
    before = gc.get_threshold()
    gc.set_threshold(*before[:2], _NEVER)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _build(submissions: Path, store: Store | None, commands: click.Group | None) -> dict[str, bytes]:
    catalogue = read(submissions, store)
    shelf = documents.documents(commands)
    downloads, says = _downloads(catalogue, submissions)
    shared = [*_pages(catalogue), guides.data(downloads, says, catalogue.updated)]
    drawings = [drawing for page in shared for drawing in figures(page)]
    assets = _assets(catalogue, drawings, shelf)
    press = Press({name: address for name, (address, _) in assets.items()})
    drawn = pictures(drawings, store)
    files = {f"assets/{address}": content for address, content in assets.values()}
    files |= {f"data/{path}": content for path, content in downloads.items()}
    files["data/SHA256SUMS"] = checksums(downloads)
    updated = catalogue.updated
    for page in shared:
        files |= {page.address: press.print(page, drawn, updated), **page.files}
    files |= {page.address: press.print(page, {}) for page in documents.pages(shelf)}
    return files | dict(printing.entries(catalogue, press, store)) | documents.images() | _beside(catalogue)


def figures(page: pages.Page) -> list[Drawing]:
    """Return the figures of a page."""
    found: list[Drawing] = page.context.get("figures", [])
    return found


def _pages(catalogue: Catalogue) -> Iterator[pages.Page]:
    yield pages.home(catalogue)
    yield from boards.boards(catalogue)
    yield from pages.quoted(catalogue)
    yield guides.found(catalogue)
    yield guides.explorer(catalogue)
    yield deploy.page(catalogue)
    yield guides.compare(catalogue)
    yield guides.sweet_spots(catalogue)
    yield guides.rules(catalogue)
    yield guides.news(catalogue)


def _downloads(catalogue: Catalogue, submissions: Path) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return the files of the folder ``data`` and what each one holds."""
    files, says = {}, {}
    for protocol in catalogue.protocols:
        path = f"{protocol.name}.csv"
        files[path], says[path] = table(catalogue, protocol), f"All entries under {protocol.name}, one a line."
        path = f"protocols/{protocol.name}.toml"
        rules = resources.files("bench.protocol") / f"{protocol.name}.toml"
        files[path], says[path] = rules.read_bytes(), f"The rules of {protocol.name}."
    entries = [record(catalogue, entry) for entry in catalogue]
    files["entries.json"] = canonical({"schema": "bench.site-entries/1", "entries": entries})
    says["entries.json"] = "All entries of all protocols, as counts."
    files[frame.FILE] = frame.table(entries)
    says[frame.FILE] = "The same as one table, a row for every entry and norm: pandas.read_csv, bench.load_board."
    if catalogue.updated:
        files[croissant.NAME] = canonical(croissant.croissant(files[frame.FILE], catalogue.updated))
        says[croissant.NAME] = f"What {frame.FILE} is and what its columns mean, as Croissant metadata."
    for source in catalogue.literature:
        stem, words = f"literature/{source.id}", f"Figures quoted from {source.title}, not measured here."
        files[f"{stem}.csv"] = literature.table(source)
        files[f"{stem}.json"] = canonical({"schema": "bench.site-literature/1", **literature.record(source)})
        files[f"{stem}.toml"] = (submissions / f"{stem}.toml").read_bytes()
        says |= dict.fromkeys((f"{stem}.csv", f"{stem}.json", f"{stem}.toml"), words)
    for name, (model, words) in records.FILES.items():
        path = f"schemas/{name}.json"
        files[path] = canonical(model.model_json_schema(by_alias=True))
        says[path] = f"JSON Schema of {words}."
    return files, says


def _beside(catalogue: Catalogue) -> dict[str, bytes]:
    files = {"atom.xml": feed(changes(catalogue), "")}
    for entry in catalogue:
        folder = entry.address.removesuffix("index.html")
        files[f"{folder}badge.svg"] = badge(entry, entry.result.threats[0].norm)[1]
        files[f"{folder}cite.bib"] = bibtex(entry).encode()
        for name in published(entry):
            files[f"{folder}{name}"] = (entry.path / name).read_bytes()
    return files


def _assets(
    catalogue: Catalogue, drawings: Iterable[Drawing], shelf: Sequence[documents.Document] = ()
) -> dict[str, tuple[str, bytes]]:
    """Return name to (address that carries a digest, content)."""
    static = dict(_walk(resources.files("bench.site") / "static", ""))
    vendored = {name.removeprefix("vendor/"): body for name, body in static.items() if name.startswith("vendor/")}
    vendor.verify(vendored)
    del static[f"vendor/{vendor.LOCK}"]
    static[DATA] = exports.script(catalogue)
    static["definitions.js"] = definitions([*drawings, *plots.every_entry()])
    static["documents.js"] = documents.script(shelf)
    return {
        name: (exports.stamped(name.replace("/", "-"), content), content) for name, content in sorted(static.items())
    }


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for path in folder.iterdir():
        if path.is_dir():
            found += _walk(path, f"{prefix}{path.name}/")
        elif path.name.endswith((".css", ".js", ".svg", ".txt", ".toml")):
            found.append((f"{prefix}{path.name}", path.read_bytes()))
    return found

"""From submissions to the bytes of every file of the site."""

from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pydantic import BaseModel

from bench.site import boards, croissant, exports, frame, guides, literature, pages, vendor
from bench.site.downloads import badge, bibtex, changes, checksums, feed, published, record, table
from bench.site.draw import Drawing, script_safe
from bench.site.entries import Catalogue, read
from bench.site.render import pictures
from bench.submission.challenge import Challenge
from bench.submission.files import canonical
from bench.submission.links import https
from bench.submission.literature import Literature
from bench.submission.schema import Result, Submission
from bench.submission.verification import Verification
from bench.submission.withdrawal import Withdrawal

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'"
)
NAVIGATION = (
    ("Boards", "index.html"),
    ("Findings", "findings.html"),
    ("Explorer", "explorer.html"),
    ("Compare", "compare.html"),
    ("Sweet spots", "sweet-spots.html"),
    ("Rules", "protocols.html"),
    ("Data", "data.html"),
    ("Changes", "changes.html"),
)
_SCHEMAS: dict[str, tuple[type[BaseModel], str]] = {
    "literature": (Literature, "a file of quoted figures"),
    "result": (Result, "result.json, what the machine measured"),
    "submission": (Submission, "submission.toml, what people say"),
    "challenge": (Challenge, "challenge-NAME.json, what a verifier found of a stranger's witnesses"),
    "withdrawal": (Withdrawal, "withdrawal.toml, who took an entry from the boards, and why"),
    "verification": (Verification, "verification.json, what whoever measured again found"),
}


def build(submissions: Path, store: Path | None = None) -> dict[str, bytes]:
    """Return the site's files, by path; the same submissions give the same bytes.

    ``store`` is a folder that keeps figures as drawn, by digest, for the next time.

    Raises:
        SubmissionError: if any submission has a problem.
    """
    catalogue = read(submissions)
    assets = _assets(catalogue)
    names = {name: address for name, (address, _) in assets.items()}
    downloads, says = _downloads(catalogue, submissions)
    printed = list(_pages(catalogue, guides.data(downloads, says)))
    drawn = pictures((drawing for page in printed for drawing in figures(page)), store)
    environment = _environment()
    files = {f"assets/{address}": content for address, content in assets.values()}
    files |= {f"data/{path}": content for path, content in downloads.items()}
    files["data/SHA256SUMS"] = checksums(downloads)
    for page in printed:
        files |= page.files
        context = {
            "up": "../" * page.address.count("/"),
            "assets": names,
            "csp": CSP,
            "navigation": NAVIGATION,
            "section": page.section,
            "updated": catalogue.updated,
            "pictures": drawn,
            **page.context,
        }
        files[page.address] = _tidy(environment.get_template(page.template).render(context))
    for address, picture in drawn.items():
        files[f"{address}.svg"], files[f"{address}.pdf"] = picture.alone, picture.pdf
    return files | _beside(catalogue)


def figures(page: pages.Page) -> list[Drawing]:
    """Return the figures of a page."""
    found: list[Drawing] = page.context.get("figures", [])
    return found


def _pages(catalogue: Catalogue, data: pages.Page) -> Iterator[pages.Page]:
    yield pages.home(catalogue)
    yield from boards.boards(catalogue)
    yield from pages.entries(catalogue)
    yield from pages.quoted(catalogue)
    yield guides.found(catalogue)
    yield guides.explorer(catalogue)
    yield guides.compare(catalogue)
    yield guides.sweet_spots(catalogue)
    yield guides.rules(catalogue)
    yield guides.news(catalogue)
    yield data


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
    for name, (model, words) in _SCHEMAS.items():
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


def _assets(catalogue: Catalogue) -> dict[str, tuple[str, bytes]]:
    """Return name to (address that carries a digest, content)."""
    static = dict(_walk(resources.files("bench.site") / "static", ""))
    vendored = {name.removeprefix("vendor/"): body for name, body in static.items() if name.startswith("vendor/")}
    vendor.verify(vendored)
    del static[f"vendor/{vendor.LOCK}"]
    static["data.js"] = exports.script(catalogue)
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


def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        loader=PackageLoader("bench.site"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["drawn"] = _drawn
    environment.filters["for_script"] = _for_script
    environment.filters["https"] = https  # autoescape does not stop ``javascript:``
    return environment


def _drawn(svg: str) -> Markup:
    """Print an SVG that the chart renderer has escaped."""
    return Markup(svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1))  # noqa: S704 - escaped by the renderer


def _for_script(json: str) -> Markup:
    """Print JSON inside a script element."""
    return Markup(script_safe(json))  # noqa: S704 - no sign that ends an element is left


def _tidy(text: str) -> bytes:
    lines = (line.rstrip() for line in text.splitlines())
    return ("\n".join(line for line in lines if line) + "\n").encode()

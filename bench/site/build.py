"""From submissions to the bytes of every file of the site."""

import base64
import hashlib
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.errors import SubmissionError
from bench.site import pages
from bench.site.downloads import badge, bibtex, changes, checksums, feed, record, table
from bench.site.draw import Drawing, script_safe
from bench.site.entries import Catalogue, read
from bench.submission.files import RESULT_FILE, SUBMISSION_FILE, canonical

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'"
)
NAVIGATION = (("Boards", "index.html"),)


def build(submissions: Path) -> dict[str, bytes]:
    """Return the site's files, by path; the same submissions give the same bytes.

    Raises:
        SubmissionError: naming every problem of every submission.
    """
    catalogue = read(submissions)
    assets = _assets()
    files = {f"assets/{address}": content for address, content in assets.values()}
    environment = _environment()
    names = {name: address for name, (address, _) in assets.items()}
    made = [pages.home(catalogue), *pages.boards(catalogue), *pages.entries(catalogue)]
    for page in made:
        context = {
            "up": "../" * page.address.count("/"),
            "assets": names,
            "csp": CSP,
            "navigation": NAVIGATION,
            "section": page.section,
            "updated": catalogue.updated,
            **page.context,
        }
        files[page.address] = _tidy(environment.get_template(page.template).render(context))
        drawings: list[Drawing] = page.context.get("figures", [])
        files |= {drawing.file: drawing.alone for drawing in drawings}
    return files | _downloads(catalogue)


def _downloads(catalogue: Catalogue) -> dict[str, bytes]:
    files = {f"data/{protocol.name}.csv": table(catalogue, protocol) for protocol in catalogue.protocols}
    entries = [record(catalogue, entry) for entry in catalogue]
    files["data/entries.json"] = canonical({"schema": "bench.site-entries/1", "entries": entries})
    files["data/SHA256SUMS"] = checksums({path.removeprefix("data/"): body for path, body in files.items()})
    for entry in catalogue:
        folder = entry.address.removesuffix("index.html")
        files[f"{folder}badge.svg"] = badge(entry, entry.protocol.threats[0].norm)[1]
        files[f"{folder}cite.bib"] = bibtex(entry).encode()
        for name in (RESULT_FILE, SUBMISSION_FILE):
            files[f"{folder}{name}"] = (entry.path / name).read_bytes()
    files["atom.xml"] = feed(changes(catalogue), "")
    return files


def _assets() -> dict[str, tuple[str, bytes]]:
    """Return name to (address that carries a digest, content); sorted, so that the bytes never depend on a disk."""
    found = {}
    for name, content in sorted(_walk(resources.files("bench.site") / "static", "")):
        if name.endswith((".css", ".js", ".svg")):
            stem, _, kind = name.replace("/", "-").rpartition(".")
            digest = base64.b32encode(hashlib.sha256(content).digest()[:5]).decode().lower()
            found[name] = (f"{stem}.{digest}.{kind}", content)
    return found


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for path in folder.iterdir():
        if path.is_dir():
            found += _walk(path, f"{prefix}{path.name}/")
        else:
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
    environment.filters["https"] = https
    return environment


def _drawn(svg: str) -> Markup:
    """Print an SVG that the chart renderer has escaped."""
    return Markup(svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1))  # noqa: S704 - escaped by the renderer


def _for_script(json: str) -> Markup:
    """Print JSON inside a script element."""
    return Markup(script_safe(json))  # noqa: S704 - no sign that ends an element is left


def https(address: str) -> str:
    """Pass an address on that a reader may follow; autoescape does not stop ``javascript:``.

    Raises:
        SubmissionError: for any other scheme.
    """
    if urlsplit(address).scheme != "https":
        raise SubmissionError(f"{address!r} is no https address.")
    return address


def _tidy(text: str) -> bytes:
    lines = (line.rstrip() for line in text.splitlines())
    return ("\n".join(line for line in lines if line) + "\n").encode()

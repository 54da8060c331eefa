"""The documentation: which pages there are, written in Markdown or made of the code, and what is searched in them."""

import json
import posixpath
from collections.abc import Container, Iterator, Sequence
from functools import partial
from importlib import resources
from typing import Any, NamedTuple

import click

from bench.site import commandline, python, records, tracks
from bench.site.draw import script_safe
from bench.site.markdown import Printed, render
from bench.site.pages import Page

INDEX = "docs/index.html"
SUBMIT = "docs/submit.html"
SHELVES = (
    ("Tutorial", "From nothing to a checked entry.", ("tutorial",)),
    (
        "How-to",
        "One task a page.",
        ("measure", "submit", "extend", "tracks", "sweeps", "gpu"),
    ),
    (
        "Reference",
        "What there is, made of the code or held against it by a test.",
        ("data", "commands", "python", "protocol", "files", "checks", "recipes"),
    ),
    (
        "Explanation",
        "Why it is as it is, and what the numbers do not say.",
        ("why", "seed", "anchors"),
    ),
)
"""Headings, what stands below each, and its documents by name."""
_HERE = "bench/site/docs"
_BUILT = "leaderboard"
"""Where a document in the repository finds the built site."""


class Document(NamedTuple):
    """One page of the documentation."""

    name: str
    shelf: str
    printed: Printed

    @property
    def address(self) -> str:
        """Where it lies in the site."""
        return f"docs/{self.name}.html"


def documents(commands: click.Group | None) -> tuple[Document, ...]:
    """Return all documents in their order; the page about the command line is made of ``commands``, or left out."""
    texts = {name: text for _, _, names in SHELVES for name in names if (text := _text(name, commands)) is not None}
    return tuple(
        Document(name, shelf, render(texts[name], partial(_leads, frozenset(texts)), _path))
        for shelf, _, names in SHELVES
        for name in names
        if name in texts
    )


def _text(name: str, commands: click.Group | None) -> str | None:
    """Return a document as Markdown."""
    if name == "commands":
        return None if commands is None else commandline.commands(commands)
    made = {"files": records.files, "protocol": records.protocol, "python": python.page}
    if name in made:
        return made[name]()
    text = (resources.files("bench.site") / "docs" / f"{name}.md").read_text("utf-8")
    return tracks.document(text) if name == "data" else text


def _path(target: str) -> str:
    """Return the path in the repository that a link of a document names."""
    return posixpath.normpath(posixpath.join(_HERE, target))


def _leads(names: Container[str], target: str) -> str | None:
    """Return where a link leads on the site; None for a file that only the repository has."""
    path, mark, anchor = target.partition("#")
    if not path:
        return target
    folder, file = posixpath.split(_path(path))
    stem, kind = posixpath.splitext(file)
    if folder == _BUILT:
        return f"../{file}{mark}{anchor}"
    if (folder, kind) in {(_HERE, ".md"), (f"{_BUILT}/docs", ".html")}:
        return f"{stem}.html{mark}{anchor}" if stem in names else None
    return file if folder == _HERE else None


def pages(found: Sequence[Document]) -> Iterator[Page]:
    """Yield the page of all documents and one for each."""
    shelves = [
        {"title": title, "says": says, "documents": [each for each in found if each.shelf == title]}
        for title, says, _ in SHELVES
    ]
    yield Page(INDEX, "documents.html", {"shelves": shelves}, INDEX)
    for document in found:
        beside = [each for each in found if each.shelf == document.shelf]
        context: dict[str, Any] = {"document": document, "beside": beside}
        yield Page(document.address, "document.html", context, SUBMIT if document.address == SUBMIT else INDEX)


def images() -> dict[str, bytes]:
    """Return the pictures of the documents, by their address in the site."""
    folder = resources.files("bench.site") / "docs"
    return {f"docs/{path.name}": path.read_bytes() for path in folder.iterdir() if path.name.endswith(".svg")}


def script(found: Sequence[Document]) -> bytes:
    """Return ``window.BENCH_DOCUMENTS = …``: for each section the title, page, heading, anchor and words to search."""
    sections = [
        [document.printed.title, f"{document.name}.html", section.heading, section.anchor, section.words]
        for document in found
        for section in document.printed.sections
    ]
    text = json.dumps(sections, separators=(",", ":"), ensure_ascii=False)
    return f"window.BENCH_DOCUMENTS={script_safe(text)};\n".encode()

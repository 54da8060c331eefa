"""Every problem of a built site: broken links, missing anchors, foreign origins, figures without rows, heavy pages."""

import gzip
import json
import os
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

PAGE_BUDGET = 150_000
"""Bytes of a page, compressed, without scripts; as many again for every 1,000 rows but on boards, which have pages."""
ROW_BUDGET = 300
"""Bytes of a row in the script of a long board, compressed."""
ASSET_BUDGET = 410_000
"""Bytes of all shared assets together, compressed; the entries' data, which grow with them, are not shared assets."""
_LOADS = {("script", "src"), ("img", "src"), ("link", "href"), ("source", "src"), ("iframe", "src"), ("use", "href")}
_GROWS = re.compile(r"assets/data\.[a-z2-7]+\.js$")
_DEFINED = re.compile(r"assets/definitions\.[a-z2-7]+\.js$")
_ROWS = 1000
_BOARD = re.compile(r"(boards/[^/]+?)(?:-\d+)?\.html$")
_SCRIPT = re.compile(r"(boards/[^/]+)\.rows\.[a-z2-7]+\.js$")


class _Reader(HTMLParser):
    """Collects what a page links, loads and offers as anchors, and what its security policy would block."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.twice: list[str] = []
        self.blocked: list[str] = []
        self.rows = 0
        self._plot = False
        self.charts = 0
        self.printed = 0
        """Drawings in the places of figures."""
        self.kinds: list[str] = []
        """Of the figures whose rows the page carries."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one element."""
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            if given["id"] in self.anchors:
                self.twice.append(given["id"])
            self.anchors.add(given["id"])
        for name, value in given.items():
            if (tag, name) in _LOADS and given.get("rel") != "alternate":
                self.loads.append(value)
            elif name in {"href", "src"}:
                self.links.append(value)
            if name == "style" or name.startswith("on"):
                self.blocked.append(f"{tag} with {name}")
        if tag == "style" or (tag == "script" and "src" not in given and given.get("type") != "application/json"):
            self.blocked.append(f"inline {tag}")
        self.rows += tag == "tr"
        self.charts += tag == "figure" and "chart" in given.get("class", "").split()
        self.printed += tag == "svg" and self._plot
        self._plot = tag == "div" and "plot" in given.get("class", "").split()
        if "data-kind" in given:
            self.kinds.append(given["data-kind"])


def read(folder: Path) -> dict[str, bytes]:
    """Return the files of a built site, by path; nothing behind a dot or a link."""
    found = {}
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(place, name) for name in names if not name.startswith(".")):
            if path.is_file() and not path.is_symlink():
                found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return dict(sorted(found.items()))


def problems(files: Mapping[str, bytes]) -> list[str]:
    """Return one sentence per problem of a site."""
    pages: dict[str, _Reader] = {}
    found = [f"{path}: is not UTF-8." for path, content in files.items() if not _readable(path, content)]
    for path, content in files.items():
        if path.endswith(".html"):
            pages[path] = _Reader()
            pages[path].feed(content.decode(errors="replace"))
    defined = _definitions(files)
    for path, page in pages.items():
        found += [*_page(path, page, pages, files), *_figures(path, page, defined)]
    for path, content in files.items():
        if path.endswith(".css"):
            found += _styles(path, content.decode(errors="replace"))
    return found + list(_weights(files, pages))


def _readable(path: str, content: bytes) -> bool:
    try:
        return not path.endswith((".html", ".css")) or content.decode() is not None
    except UnicodeDecodeError:
        return False


def _page(path: str, page: _Reader, pages: Mapping[str, _Reader], files: Mapping[str, bytes]) -> Iterator[str]:
    for what in page.blocked:
        yield f"{path}: {what}, which the page's own security policy blocks."
    for name in page.twice:
        yield f"{path}: the id {name!r} appears twice."
    for address in page.loads:
        if _parts(address).scheme not in {"", "data"} or address.startswith("//"):
            yield f"{path}: loads {address!r} from elsewhere."
    for address in page.links + page.loads:
        yield from _link(path, address, pages, files)


def _link(path: str, address: str, pages: Mapping[str, _Reader], files: Mapping[str, bytes]) -> Iterator[str]:
    parts = _parts(address)
    if parts.scheme == "data":
        return
    if parts.scheme or parts.netloc:
        if parts.scheme != "https":
            yield f"{path}: {address!r} is not https."
        return
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(parts.path))) if parts.path else path
    if target not in files:
        yield f"{path}: {address!r} leads nowhere."
    elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
        yield f"{path}: {address!r} names an anchor that is not there."


def _parts(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError:  # a host that no browser would look for
        return SplitResult("malformed", "", "", "", "")


def _styles(path: str, text: str) -> Iterator[str]:
    for address in re.findall(r"url\(\s*['\"]?([^'\")]+)", text) + re.findall(r"@import\s+['\"]([^'\"]+)", text):
        if not address.startswith("data:"):
            yield f"{path}: loads {address!r}; styles load nothing."


def _definitions(files: Mapping[str, bytes]) -> set[str]:
    """Return the kinds of figures that the script of definitions holds."""
    scripts = [content for path, content in files.items() if _DEFINED.match(path)]
    return {kind for script in scripts for kind in json.loads(script.partition(b"=")[2].rstrip(b";\n"))}


def _figures(path: str, page: _Reader, defined: set[str]) -> Iterator[str]:
    if not page.charts == page.printed == len(page.kinds):
        yield f"{path}: {page.charts} figures, but {page.printed} drawn and {len(page.kinds)} with rows."
    for kind in sorted(set(page.kinds) - defined):
        yield f"{path}: no definition is called {kind!r}."


def _weights(files: Mapping[str, bytes], pages: Mapping[str, _Reader]) -> Iterator[str]:
    rows: Counter[str] = Counter()
    for path, page in pages.items():
        board = _BOARD.match(path)
        weight, most = packed(files[path]), PAGE_BUDGET * (1 if board else max(1, page.rows / _ROWS))
        if weight > most:
            yield f"{path}: {weight} bytes compressed, at most {most:.0f} for {page.rows} rows."
        if board:
            rows[board[1]] += page.rows
    for path, content in files.items():
        script = _SCRIPT.match(path)
        if script and (weight := packed(content)) > ROW_BUDGET * rows[script[1]]:
            yield f"{path}: {weight} bytes compressed, at most {ROW_BUDGET} for each of {rows[script[1]]} rows."
    shared = assets(files)
    if shared > ASSET_BUDGET:
        yield f"assets: {shared} bytes compressed, at most {ASSET_BUDGET}."


def assets(files: Mapping[str, bytes]) -> int:
    """Return the compressed size of the shared assets."""
    return sum(packed(body) for path, body in files.items() if path.startswith("assets/") and not _GROWS.match(path))


def packed(content: bytes) -> int:
    """Return a compressed size."""
    return len(gzip.compress(content, 9, mtime=0))

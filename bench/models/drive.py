"""Fetch a file that somebody shares on Google Drive, past the page that warns of files no scanner looks at."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from bench.download import PageError, Remote, fetch
from bench.errors import InputError

HOST = "https://drive.google.com"
_TRUSTED = frozenset({"drive.google.com", "drive.usercontent.google.com"})
_QUOTA = re.compile(r"quota exceeded|too many users have viewed or downloaded", re.IGNORECASE)
_CLOSED = re.compile(r"ServiceLogin|accounts\.google\.com|you need access|request access", re.IGNORECASE)


def address(identifier: str) -> str:
    """Return where a person downloads a shared file."""
    return f"{HOST}/uc?{urlencode({'export': 'download', 'id': identifier})}"


def fetch_shared(identifier: str, name: str, folder: Path) -> Path:
    """Return the shared file in ``folder`` under ``name``; nobody publishes digests of these files.

    Raises:
        InputError: if it cannot be had: gone, closed, over its quota, or a page nobody knows.
    """
    remote = Remote(name, address(identifier), "")
    try:
        return fetch(remote, folder)
    except PageError as page:
        return _confirmed(remote, page, folder)


def _confirmed(remote: Remote, page: PageError, folder: Path) -> Path:
    """Send the form of the page that warns of files too large for the virus scanner."""
    words = page.head.decode(errors="replace")
    form = _Form()
    form.feed(words)
    asked, there = urlsplit(remote.address), urlsplit(form.action)
    if form.fields and ((there.netloc in _TRUSTED and there.scheme == "https") or there.netloc == asked.netloc):
        target = f"{form.action}?{urlencode(form.fields)}"
        try:
            return fetch(Remote(remote.name, target, ""), folder)
        except PageError as other:
            page, words = other, other.head.decode(errors="replace")
    if _QUOTA.search(words):
        says = "too many people have downloaded it lately; try again in a day, or in a browser with an account"
    elif _CLOSED.search(words + page.final):
        says = "its owner has not shared it with everybody"
    else:
        says = str(page)
    raise InputError(f"{remote.address} gives no file: {says}")


class _Form(HTMLParser):
    """Finds the form of a page and its hidden fields."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the address of the download form and what it would send."""
        said = {name: value or "" for name, value in attrs}
        if tag == "form" and said.get("id") == "download-form":
            self.action = said.get("action", "")
        elif tag == "input" and self.action and said.get("type") == "hidden" and said.get("name"):
            self.fields[said["name"]] = said.get("value", "")

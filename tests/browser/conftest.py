"""A built site, served and as files, and a browser that reports every message and every request."""

import threading
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bench.cli.main import cli
from bench.site.build import build
from bench.site.place import place
from bench.site.serve import server
from tests.support.sites import HOSTILE, literature, submissions

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]


@dataclass
class Site:
    """One built site: where its submissions lie, its folder, and the addresses it is reached at."""

    submissions: Path
    folder: Path
    served: str
    messages: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def local(self, path: str) -> str:
        """Return the file address of a page."""
        page, mark, rest = path.partition("#")
        return (self.folder / page).as_uri() + mark + rest


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Build the site once and serve it on the loopback address."""
    root, folder = submissions(tmp_path_factory.mktemp("submissions")), tmp_path_factory.mktemp("site")
    literature(root, HOSTILE)
    place(build(root, commands=cli), folder)
    with server(folder, 0) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield Site(root, folder, f"http://127.0.0.1:{running.server_port}/")
        running.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def chromium():
    """Start Debian's Chromium once, or skip where it is not installed."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    sync_playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium, site):
    """Open pages with any settings; at the end no message and no request to elsewhere may have happened."""
    contexts = []
    site.messages.clear()
    site.foreign.clear()

    def asked(request):
        address = urlsplit(request.url)
        if address.scheme not in {"file", "data", "blob"} and address.hostname != "127.0.0.1":
            site.foreign.append(request.url)

    def opened(**settings):
        settings.setdefault("viewport", {"width": 1280, "height": 900})
        context = chromium.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: site.messages.append(f"{page.url}: {message.type}: {message.text}"))
        page.on("pageerror", lambda error: site.messages.append(f"{page.url}: {error}"))
        page.on("request", asked)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert site.messages == []
    assert site.foreign == []

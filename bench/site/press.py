"""Prints pages: contexts into templates, the same bytes every time."""

import json
from collections.abc import Mapping
from datetime import date

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.site import documents
from bench.site.draw import script_safe
from bench.site.pages import Page
from bench.submission.links import https

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'"
)
DATA = "data.js"
"""Name of the script that holds the entries."""
NAVIGATION = (
    ("Boards", "index.html"),
    ("Findings", "findings.html"),
    ("Explorer", "explorer.html"),
    ("Deploy", "deploy.html"),
    ("Compare", "compare.html"),
    ("Sweet spots", "sweet-spots.html"),
    ("Rules", "protocols.html"),
    ("Data", "data.html"),
    ("Changes", "changes.html"),
    ("Docs", documents.INDEX),
    ("Submit", documents.SUBMIT),
)


class Press:
    """What all pages have in common, and their templates."""

    def __init__(self, assets: Mapping[str, str]) -> None:
        """Take the addresses of the shared files, by name."""
        self._shared = {"assets": assets, "csp": CSP, "navigation": NAVIGATION}
        self.common = json.dumps({name: address for name, address in assets.items() if name != DATA}, sort_keys=True)
        """What all pages of entries share, less the entries' data, which they do not load."""
        self._templates = _environment()

    def print(self, page: Page, drawn: Mapping[str, str], updated: date | None = None) -> bytes:
        """Return the bytes of a page with its figures as drawn; ``updated`` stands at the foot of those that list."""
        context = {
            "up": "../" * page.address.count("/"),
            "section": page.section,
            "updated": updated,
            "pictures": drawn,
            **self._shared,
            **page.context,
        }
        return _tidy(self._templates.get_template(page.template).render(context))


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

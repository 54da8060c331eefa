"""Draws figures as SVG and PDF: the same bytes on every machine, by all processors, once if they are kept."""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from xml.sax.saxutils import quoteattr

from bench.site.draw import Drawing
from bench.site.processes import spread
from bench.site.store import Store, key

LIGHT = {
    "--ink": "#1c2024",
    "--muted": "#565e67",
    "--line": "#dde1e5",
    "--paper": "#ffffff",
    "--accent": "#1257a8",
    "--band": "#e9f0f9",
    "--c1": "#1257a8",
    "--c2": "#b4540a",
    "--c3": "#23765a",
    "--c4": "#8a3d8f",
    "--c5": "#6b6f00",
    "--c6": "#a3263c",
}
"""The colours of site.css, for files that stand alone."""
_ALONE = 24
"""Figures that one process draws sooner than others could start."""
_FONTS = "FONTCONFIG_FILE"
_LISTED = re.compile(rb"(?:^ +/[a-z]+\d+ \d+ 0 R\n){2,}", re.MULTILINE)


def pictures(drawings: Iterable[Drawing], store: Store | None = None) -> dict[str, str]:
    """Return every figure as the SVG that pages print, which give it its colours, by its key.

    Those without a small SVG of their own are drawn; ``store`` keeps these, so that each is drawn once in its life.
    """
    there = {drawing.key: drawing for drawing in drawings}
    found = {name: drawing.small for name, drawing in there.items() if drawing.small is not None}
    wanted = {name: drawing for name, drawing in there.items() if drawing.small is None}
    if store is None:
        return found | _drawn(wanted)
    kept = {name: old.decode() for name, drawing in wanted.items() if (old := store.get(_key(drawing))) is not None}
    fresh = _drawn({name: drawing for name, drawing in wanted.items() if name not in kept})
    for name, made in fresh.items():
        store.put(_key(wanted[name]), made.encode())
    return found | kept | fresh


def _drawn(wanted: dict[str, Drawing]) -> dict[str, str]:
    return dict(zip(wanted, spread(inline, wanted.values(), alone=_ALONE, together=8), strict=True))


def _key(drawing: Drawing) -> str:
    """Return the key of a figure, of all that decides its bytes: this file and the version of the library, too."""
    return key("figure", [_renderer(), drawing.name, drawing.spec])


@cache
def _renderer() -> str:
    return f"{version('vl-convert-python')} {hashlib.sha256(Path(__file__).read_bytes()).hexdigest()}"


def inline(drawing: Drawing) -> str:
    """Draw one figure for a page; the same definition gives the same bytes everywhere."""
    return _lean(_vega_to_svg(drawing.spec), drawing.name)


def svg(drawing: Drawing) -> bytes:
    """Draw one figure as a file of its own, in the light colours of the pages, with words for those who cannot see."""
    return _coloured(drawing).replace("<svg ", f'<svg role="img" aria-label={quoteattr(drawing.says)} ', 1).encode()


def pdf(drawing: Drawing) -> bytes:
    """Draw one figure as one page of PDF, text as text, its font embedded."""
    return _settled(_svg_to_pdf(_coloured(drawing)))


def _coloured(drawing: Drawing) -> str:
    return re.sub(r"var\((--[a-z0-9]+)\)", lambda found: LIGHT[found[1]], inline(drawing))


def _vega_to_svg(spec: str) -> str:
    _own_fonts()
    import vl_convert

    drawn: str = vl_convert.vega_to_svg(spec)
    return drawn


def _svg_to_pdf(drawn: str) -> bytes:
    _own_fonts()
    import vl_convert

    page: bytes = vl_convert.svg_to_pdf(drawn)
    return page


@cache
def _own_fonts() -> None:
    """Let the renderer know no fonts but those that it carries; it reads the system's once, at its first drawing."""
    import vl_convert

    given = os.environ.get(_FONTS)
    with tempfile.TemporaryDirectory() as folder:
        settings, empty = Path(folder, "fonts.conf"), Path(folder, "none")
        empty.mkdir()
        settings.write_text(f"<fontconfig><dir>{empty}</dir></fontconfig>", "utf-8")
        os.environ[_FONTS] = str(settings)
        try:
            vl_convert.svg_to_pdf(
                '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text y="8">a</text></svg>'
            )
        finally:
            if given is None:
                del os.environ[_FONTS]
            else:
                os.environ[_FONTS] = given


def _settled(page: bytes) -> bytes:
    """Sort the names of a page's resources, which the renderer lists in the order of a hash; no offset moves."""
    return _LISTED.sub(lambda found: b"".join(sorted(found[0].splitlines(keepends=True))), page)


def _lean(drawn: str, name: str) -> str:
    """Drop what only the runtime needs, and make ids unique on a page."""
    drawn = re.sub(r' (aria-roledescription|role|aria-hidden|pointer-events)="[^"]*"', "", drawn)
    drawn = re.sub(r' class="(?:mark|role|background|foreground)[^"]*"', "", drawn)
    drawn = re.sub(r' (?:xmlns:xlink|version)="[^"]*"', "", drawn)
    drawn = re.sub(r'<path d="M0,0h0v0h0Z"/>', "", drawn)
    prefix = hashlib.sha256(name.encode()).hexdigest()[:6]
    drawn = re.sub(r'(id="|url\(#)(?=[A-Za-z])', rf"\g<1>f{prefix}-", drawn)
    empty = re.compile(r"<g(?: [^>]*)?></g>|<g(?: [^>]*)?/>")
    while empty.search(drawn):
        drawn = empty.sub("", drawn)
    return drawn

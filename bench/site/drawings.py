"""The figures of the site, one by one, for ``bench figure``."""

from bench.site import boards as board_pages
from bench.site import guides, pages, plots
from bench.site.draw import Drawing
from bench.site.entries import Catalogue


def boards(catalogue: Catalogue) -> list[Drawing]:
    """Return the figures of the first page, the boards and the guides, each once."""
    shared = [pages.home(catalogue), *board_pages.boards(catalogue), guides.explorer(catalogue)]
    shared += [guides.compare(catalogue), guides.sweet_spots(catalogue)]
    found: dict[str, Drawing] = {}
    for page in shared:
        found |= {drawing.key: drawing for drawing in page.context.get("figures", [])}
    return list(found.values())


def entry(catalogue: Catalogue, name: str) -> list[Drawing]:
    """Return the figures of the entry that a name of one begins with; none where it begins with no entry."""
    return [
        drawing
        for found in catalogue
        if name.startswith(f"{found.protocol.name}/{found.id}/")
        for drawing in plots.entry_figures(catalogue, found)
    ]

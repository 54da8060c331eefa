"""Prints the pages of entries; what nothing has changed since an earlier build comes from its store."""

import zlib
from collections.abc import Iterator

from bench.site import pages, paging
from bench.site.entries import Catalogue, Entry
from bench.site.press import Press
from bench.site.render import pictures
from bench.site.store import Store, key, program
from bench.submission.verifiers import listed


def entries(catalogue: Catalogue, press: Press, store: Store | None) -> Iterator[tuple[str, bytes]]:
    """Yield the address and the bytes of each entry's page."""
    shared = [program(), press.common, listed().model_dump_json()] if store is not None else []
    for entry in catalogue:
        if store is None:
            yield entry.address, _print(catalogue, entry, press)
            continue
        known = key("page", [*shared, *decides(catalogue, entry)])
        kept = store.get(known)
        printed = _print(catalogue, entry, press) if kept is None else zlib.decompress(kept)
        if kept is None:
            store.put(known, zlib.compress(printed, 1))
        yield entry.address, printed


def _print(catalogue: Catalogue, entry: Entry, press: Press) -> bytes:
    page = pages.entry(catalogue, entry)
    return press.print(page, pictures(page.context["figures"]))


def decides(catalogue: Catalogue, entry: Entry) -> Iterator[str]:
    """Yield all that decides an entry's page, besides code: files, its relatives' too, and what boards say of it."""
    parent = catalogue.parents.get(entry)
    family = [entry, *catalogue.children(entry), *catalogue.versions(entry)]
    family += [parent, *catalogue.children(parent)] if parent is not None else []
    for member in family:
        # what was signed of an older entry of the same weights counts for it, too
        older = [one.digest for one in catalogue.versions(member)] if member.older else []
        yield f"{member.protocol.name}/{member.id} {member.digest} {older}"
        yield catalogue.unranked(member) or ""
    for board in catalogue.boards:
        if board.holds(entry):
            yield f"{paging.holding(board, entry)} {pages.place(board, entry)}"

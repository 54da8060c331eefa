"""A built site and boards of any size, for tests of pages and browsers."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

from bench.site import boards
from bench.site import build as builder
from bench.site.entries import DENSE, Band, Board, Catalogue, read
from bench.site.pages import Page
from bench.site.press import Press
from bench.site.render import pictures
from bench.submission.ranks import Place
from tests.support.builders import Cell, board, cells, write

HOSTILE = '</script><img src=x onerror="alert(1)">'


def submissions(root: Path) -> Path:
    """Write seven varied entries and one whose every word is an attack on the page."""
    varied = cells(16)
    for number in (0, 1, 3, 5, 6, 14, 15):
        write(root, varied[number])
    hostile = Cell(id="hostile", name=HOSTILE, method="=cmd|' /C calc'!A0", parent="evil", day=date(2026, 4, 1))
    write(root, replace(hostile, level=None, strength=0.9))
    return root


def crowded(root: Path, rows: int) -> tuple[Catalogue, Board]:
    """Return a board of any length, made of a few real entries under many ids."""
    catalogue = read(board(root, 16))
    few = catalogue.by_protocol["digits-v1"]
    many = []
    for number in range(rows):
        entry = few[number % len(few)]
        people = entry.submission.model_copy(update={"id": f"entry-{number:05}", "name": f"Network {number}"})
        many.append(replace(entry, folder=replace(entry.folder, submission=people)))
    crowd = Catalogue({"digits-v1": many})
    first = catalogue.boards[0]
    shown = sorted(many, key=lambda entry: -entry.survivors(first.norm))
    bands = []
    for band in first.bands:
        members = tuple(entry for entry in shown if entry.band == band.label)
        ranked = members if band.label != DENSE else ()
        bands.append(Band(band.label, members, dict.fromkeys(ranked, Place(1, 1, rows))))
    places = {entry: place for band in bands for entry, place in band.places.items()}
    crowd.boards = [Board(first.protocol, first.norm, first.epsilon, tuple(shown), tuple(bands), places=places)]
    return crowd, crowd.boards[0]


def print_board(out: Path, catalogue: Catalogue) -> Path:
    """Write the pages of one board with its assets and return the first one."""
    return print_pages(out, catalogue, list(boards.boards(catalogue)))


def print_page(out: Path, catalogue: Catalogue, page: Page) -> Path:
    """Write one page with its assets and return it."""
    return print_pages(out, catalogue, [page])


def print_pages(out: Path, catalogue: Catalogue, printed: list[Page]) -> Path:
    """Write pages with their assets and return the first one."""
    drawings = [drawing for page in printed for drawing in builder.figures(page)]
    assets = builder._assets(catalogue, drawings)
    press = Press({name: address for name, (address, _) in assets.items()})
    drawn = pictures(drawings)
    files = {f"assets/{address}": content for address, content in assets.values()}
    for page in printed:
        files |= {page.address: press.print(page, drawn), **page.files}
    for name, content in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return out / printed[0].address


def literature(root: Path, words: str = "A paper") -> Path:
    """Write figures quoted from one source, any words in its free text, and return the file."""
    path = root / "literature" / "quoted.toml"
    path.parent.mkdir(parents=True)
    text = json.dumps(words)
    networks = [
        ('"First"', "structured", 90, "80.50", "43.6"),
        ('"Second"', "structured", 90, "83.38", "45.40"),
        (text, "unstructured", 50, "70.0", "11"),
    ]
    claims = "".join(
        f'  {{ method = {method}, architecture = "Net", structure = "{structure}", sparsity = "{sparsity}", '
        f'clean = "{clean}", robust = "{robust}" }},\n'
        for method, structure, sparsity, clean, robust in networks
    )
    path.write_text(
        f"""schema = "bench.literature/1"
id = "quoted"
title = {text}
doubts = ["Sparsity is declared.", {text}]

[source]
paper = {text}
authors = ["Ada", {text}]
address = "https://arxiv.org/abs/2409.01249"
repository = "https://github.com/example/figures"
commit = "{"0a" * 20}"
read = {text}
date = 2026-05-01

[[settings]]
data = "digits"
points = 10000
norm = "Linf"
epsilon = "0.031"
attack = {text}
claims = [
{claims}]
""",
        "utf-8",
    )
    return path

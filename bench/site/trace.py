"""Every number on the page of an entry and in its rows on boards, traced to the values that it is made of."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from html import unescape
from pathlib import Path

import numpy as np

from bench.errors import DisagreementError, InputError, UsageError
from bench.registry import unknown
from bench.site import paging, trace_board
from bench.site import trace_account as account
from bench.site.downloads import badge, bibtex
from bench.site.draw import labels
from bench.site.entries import Catalogue, Entry
from bench.site.figures import metric, percent, symbol, thousands, threat
from bench.site.gallery import gallery
from bench.site.sources import COUNT, INTERVAL, PLAIN, SHARE, WORDS, Field, Files, Formula, rule
from bench.site.tables import doubts
from bench.submission.files import WITNESSES_FILE
from bench.submission.score import rate, wilson
from bench.threats import Norm

_DATA = Formula(
    "first / second, to six digits, as data of the figure", lambda count, total: str(round(count / total, 6))
)
_LOW = Formula("lower end of the 95 % interval (Wilson)", lambda *of: str(round(wilson(*of).low, 6)))
_HIGH = Formula("upper end of the 95 % interval (Wilson)", lambda *of: str(round(wilson(*of).high, 6)))
_OWN = Formula("first / second, in percent", lambda *of: f"{percent(rate(*of))} % by its own cascade")
_SIZE = Formula("to three digits", lambda left, all_: f"{metric(left)} weights left of {metric(all_)}")
_OPEN = "ranks that exact McNemar tests of all pairs of the band leave open (Holm), from which points stand in each"
_UNDER = Formula("the radius", lambda norm, epsilon: threat(Norm(norm), epsilon))
_LESS = Formula("minus the count", lambda count: f"−{thousands(count)}" if count else "0")
_DENSE = Formula("1 − first / second, in percent", lambda zeros, weights: f"{percent(1 - rate(zeros, weights))} %")


def fields(catalogue: Catalogue, entry: Entry) -> Iterator[tuple[str, Field]]:
    """Yield the fields of an entry's page and of its rows on boards, each with the address of the page, in order."""
    yield from ((entry.address, field) for field in _page(catalogue, entry))
    for board in catalogue.boards:
        if board.holds(entry):
            address = paging.holding(board, entry)
            yield from ((address, field) for field in trace_board.fields(catalogue, board, entry))


def _page(catalogue: Catalogue, entry: Entry) -> Iterator[Field]:
    files = Files(entry)
    yield from _words(catalogue, entry, files)
    yield from _cards(catalogue, entry, files)
    yield from _figures(catalogue, entry, files)
    yield from _witnesses(entry, files)
    yield from account.fields(catalogue, entry, files)


def find(catalogue: Catalogue, name: str) -> Entry:
    """Return the entry of this id, or of this ``<protocol>/<id>``.

    Raises:
        UsageError: if there is none, or one under several protocols.
    """
    found = [entry for entry in catalogue if name in {entry.id, f"{entry.protocol.name}/{entry.id}"}]
    if not found:
        raise UsageError(unknown("entry", name, [entry.id for entry in catalogue]))
    if len(found) > 1:
        raise UsageError(
            f"{name!r} is an entry of {' and '.join(entry.protocol.name for entry in found)}; write PROTOCOL/ENTRY."
        )
    return found[0]


def traced(catalogue: Catalogue, entry: Entry, name: str | None = None) -> dict[str, list[Field]]:
    """Return the fields of an entry by the pages that show them, or those of one name and of all below it.

    ``robust`` stands for ``robust.Linf``, ``robust.Linf.interval`` and so on.

    Raises:
        UsageError: if there is no such field.
    """
    known = list(fields(catalogue, entry))
    found: dict[str, list[Field]] = {}
    for address, field in known:
        if name is None or f"{field.name}.".startswith(f"{name}."):
            found.setdefault(address, []).append(field)
    if not found and name is not None:
        near = difflib.get_close_matches(name, [field.name for _, field in known], n=3)
        kinds = ", ".join(dict.fromkeys(field.name.partition(".")[0] for _, field in known))
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise UsageError(f"The entry has no field {name!r}.{hint} It has fields of {kinds}; without one, all are told.")
    return found


def hold(site: Path, told: Mapping[str, Iterable[Field]]) -> None:
    """Hold what fields say against the pages of a built site.

    Raises:
        InputError: if there is no page.
        DisagreementError: if a page does not show one of them.
    """
    for address, found in told.items():
        page = site / address
        try:
            text = unescape(page.read_text("utf-8"))
        except OSError:
            raise InputError(f"{str(page)!r} cannot be read; build the site first: bench site build.") from None
        missing = [field for field in found if field.text not in text]
        if missing:
            raise DisagreementError(
                f"{str(page)!r} does not show {missing[0].text!r} for {missing[0].name!r}"
                f"{f' and {len(missing) - 1} fields more' if missing[1:] else ''}; build the site again."
            )


def _words(catalogue: Catalogue, entry: Entry, files: Files) -> Iterator[Field]:
    """Yield what is said in words and titles all over the page."""
    yield Field("name", WORDS, (files.people("name"),))
    yield Field("method", WORDS, (files.people("method"),))
    if entry.result.pruning.method is not None:
        yield Field("method.measured", WORDS, (files.result("pruning", "method"),))
    yield Field("title", WORDS, (rule(f"protocol/{entry.protocol.name}.toml", "title"),))
    protocol = f"protocol/{entry.protocol.name}.toml"
    for number, known in enumerate(entry.protocol.threats):
        values = (rule(protocol, "threats", number, "norm"), rule(protocol, "threats", number, "epsilon"))
        yield Field(f"threat.{known.norm}", _UNDER, values)
        yield Field(f"radius.{known.norm}", WORDS, values[1:])
    if not entry.withheld:
        level = Formula("1 − first, in percent", lambda chance: f"{float(100 * (1 - Fraction(chance))):g} %")
        yield Field("level", level, (rule("submission/board.toml", "significance"),))
        for name, settings in (entry.protocol.black_box if entry.result.scenarios else {}).items():
            for key in settings:
                yield Field(f"black-box.{name}.{key}", WORDS, (rule(protocol, "black_box", name, key),))
    yield from _dates(entry, files)
    told = (files.result("flags"), files.result("pruning", "collapsed_layers"), files.people("extra_data"))
    for number, doubt in enumerate(doubts(catalogue, entry)):
        yield Field(f"doubt.{number + 1}", Formula("the values, in words", lambda *_, doubt=doubt: doubt), told)
    yield from _spoken(entry, files)


def _dates(entry: Entry, files: Files) -> Iterator[Field]:
    yield Field("date", WORDS, (files.people("date"),))
    told = tuple(files.people(name) for name in ("name", "method", "authors", "date", "id", "paper"))
    told += (files.result("protocol", "digest"), files.result("pruning", "zeros"), files.result("pruning", "prunable"))
    for number, line in enumerate(bibtex(entry).splitlines()):
        yield Field(f"cite.{number + 1}", Formula("the values, as BibTeX", lambda *_, line=line: line), told)
    norm = entry.result.threats[0].norm
    shown = (*(() if entry.withheld else (files.stands(norm), files.result("data", "points"))), *files.levels())
    yield Field("badge", Formula("first / second and the level", lambda *_: badge(entry, norm)[0]), shown)


def _spoken(entry: Entry, files: Files) -> Iterator[Field]:
    """Yield what verifiers and challengers say."""
    fell = Formula("how many ids", lambda ids: str(len(ids or ())))
    if entry.verification:
        yield Field("verification.date", WORDS, (files.verification("date"),))
        yield Field("verification.by", WORDS, (files.verification("by"),))
        if entry.verification.says:
            yield Field("verification.says", WORDS, (files.verification("says"),))
        for number, again in enumerate(entry.verification.threats):
            if again.fallen:
                yield Field(f"verification.{again.norm}", fell, (files.verification("threats", number, "fallen"),))
    for place, challenge in enumerate(entry.challenges):
        for key in ("date", "by", "name"):
            yield Field(f"challenge.{place + 1}.{key}", WORDS, (files.challenge(place, key),))
        for number, record in enumerate(challenge.threats):
            ids = files.challenge(place, "threats", number, "fallen")
            yield Field(f"challenge.{place + 1}.{record.norm}", fell, (ids,))
    if entry.withdrawal:
        for key in ("date", "by", "reason"):
            yield Field(f"withdrawal.{key}", WORDS, (files.withdrawal(key),))


def _cards(catalogue: Catalogue, entry: Entry, files: Files) -> Iterator[Field]:
    points = files.result("data", "points")
    clean = (files.result("clean", "correct"), points)
    yield Field("clean", SHARE, clean)
    yield Field("clean.interval", INTERVAL, clean)
    for board in catalogue.boards:
        if not board.holds(entry):
            continue
        norm = board.norm
        if not entry.withheld:
            yield Field(f"robust.{norm}", SHARE, (files.stands(norm), points))
            yield Field(f"robust.{norm}.interval", INTERVAL, (files.stands(norm), points))
            if entry.alone(norm) is not None:
                alone = files.result("threats", files.threat(norm), "robust")
                yield Field(f"robust.{norm}.alone", _OWN, (alone, points))
        band = board.band(entry)
        if entry in band.places:
            place = f"rank {band.places[entry]} of {len(band.places)}, {band.label} pruned"
            formula = Formula(_OPEN, lambda *_, place=place: place)
            yield Field(f"rank.{norm}", formula, tuple(Files(one).stands(norm) for one in band.places))
    yield Field("sparsity", SHARE, (files.result("pruning", "zeros"), files.result("pruning", "prunable")))
    yield Field("size", _SIZE, (files.result("pruning", "nonzero"), files.result("pruning", "parameters")))


def _figures(catalogue: Catalogue, entry: Entry, files: Files) -> Iterator[Field]:
    parent = catalogue.parents.get(entry)
    family = [entry] if parent is None or parent.withheld else [entry, parent]
    for norm in entry.robust if not entry.withheld else ():
        for one in (one for one in family if norm in entry.result.curves and norm in one.result.curves):
            yield from _curve(one, norm)
    for norm in entry.robust if not entry.withheld else ():
        yield from _waterfall(files, norm)
    layers = entry.result.pruning.layers
    names = labels([layer.name for layer in layers], [str(number + 1) for number in range(len(layers))])
    for number, name in enumerate(names):
        zeros, weights = (files.result("pruning", "layers", number, key) for key in ("zeros", "weights"))
        yield Field(f"layer.{name}", _DENSE, (zeros, weights))
        yield Field(f"layer.{name}.weights", PLAIN, (weights,))


def _curve(entry: Entry, norm: Norm) -> Iterator[Field]:
    files = Files(entry)
    for number, epsilon in enumerate(entry.result.curves[norm].epsilon):
        count = (files.result("curves", norm.value, "robust", number), files.result("data", "points"))
        stem = f"curve.{norm}.{entry.id}.{epsilon}"
        yield Field(f"{stem}.epsilon", WORDS, (files.result("curves", norm.value, "epsilon", number),))
        yield Field(stem, _DATA, count)
        yield Field(f"{stem}.low", _LOW, count)
        yield Field(f"{stem}.high", _HIGH, count)


def _waterfall(files: Files, norm: Norm) -> Iterator[Field]:
    stem, place = f"waterfall.{norm}", files.threat(norm)
    yield Field(f"{stem}.correct", COUNT, (files.result("clean", "correct"),))
    for number, attack in enumerate(files.record["threats"][place]["attacks"]):
        yield Field(f"{stem}.{attack['name']}", _LESS, (files.result("threats", place, "attacks", number, "broken"),))
    counts = (files.result("threats", place, "robust"), files.result("threats", place, "best_known"))
    elsewhere = Formula("minus (first − second)", lambda first, second: _LESS.spell(first - second))
    yield Field(f"{stem}.elsewhere", elsewhere, counts)
    yield Field(f"{stem}.robust", COUNT, counts[1:])


def _witnesses(entry: Entry, files: Files) -> Iterator[Field]:
    spelt = {
        "label": Formula("name of the class", lambda names, label: names[label]),
        "distance": Formula("to three digits", lambda far: f"{far:.3g}"),
        "pixels": Formula("a number of pixels", lambda far: f"{far:.0f} pixel{'s' if far != 1 else ''}"),
        "gain": Formula("1/2 over the largest change", lambda most: f"{0.5 / most if most else 1:.2g}"),
    }
    shown = {group.title: group.pieces for group in gallery(entry)}
    for norm in Norm:
        for number, piece in enumerate(shown.get(f"Nearest in {symbol(norm)}", ())):
            stem, arrays = f"witness.{norm}.{number + 1}", files.witnesses
            row = int(np.flatnonzero(arrays[f"id_{norm}"] == piece.id)[0])
            here = int(np.flatnonzero(files.points["id"] == piece.id)[0])
            identity = files.counted(f"id_{norm}[{row}]", int(arrays[f"id_{norm}"][row]), WITNESSES_FILE)
            label = files.counted(f"label of point {piece.id}", int(files.points["label"][here]))
            far = files.counted(f"distance_{norm} of point {piece.id}", float(files.points[f"distance_{norm}"][here]))
            change = arrays[f"image_{norm}"][row].astype(float) - arrays[f"clean_{norm}"][row].astype(float)
            most = files.counted(f"largest |image_{norm}[{row}] − clean_{norm}[{row}]|", float(np.abs(change).max()),
                                 WITNESSES_FILE)  # fmt: skip
            yield Field(f"{stem}.point", PLAIN, (identity,))
            yield Field(f"{stem}.label", spelt["label"], (files.result("data", "classes"), label))
            yield Field(f"{stem}.distance", spelt["pixels" if norm is Norm.L0 else "distance"], (far,))
            yield Field(f"{stem}.difference", spelt["gain"], (most,))

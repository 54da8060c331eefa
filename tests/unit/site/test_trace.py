"""Every number on the page of an entry is traced, in the order of the page, to values in files."""

import hashlib
import json
import re
from datetime import date
from fractions import Fraction
from html import unescape
from html.parser import HTMLParser
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from bench.cli.main import run
from bench.errors import DisagreementError, InputError, UsageError
from bench.site.build import build
from bench.site.entries import read
from bench.site.paging import holding
from bench.site.tables import columns
from bench.site.trace import find, hold, traced
from bench.submission.points import read_points
from bench.submission.verification import verdicts
from bench.submission.verifiers import VARIABLE
from bench.threats import Norm
from tests.support.builders import write
from tests.support.signers import record, verify
from tests.support.sites import submissions

ROOT = Path(__file__).resolve().parent.parent.parent.parent
DIGIT = re.compile(r"\d")
SYMBOLS = re.compile(r"\bL[02]\b|\b2of4\b")
BAR = re.compile(r"[0-9]+(?=[;.])")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return submissions(tmp_path_factory.mktemp("submissions"))


@pytest.fixture(scope="module")
def site(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    for path, content in build(root).items():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_bytes(content)
    return out


class Texts(HTMLParser):
    """Collects what a page shows: texts, and labels for those who do not see."""

    def __init__(self, page):
        super().__init__()
        self.found, self.silent = [], 0
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.silent += tag in {"script", "style", "svg"}
        self.found += [value for name, value in attrs if name in {"aria-label", "alt"} and value]

    def handle_endtag(self, tag):
        self.silent -= tag in {"script", "style", "svg"}

    def handle_data(self, data):
        if not self.silent and data.strip():
            self.found.append(data.strip())


def with_digits(texts):
    return [text for text in texts if DIGIT.search(text)]


def words(html):
    return unescape(re.sub(r"<[^>]+>", "", html)).strip()


def section(page, anchor):
    found = re.search(rf'<section[^>]* ?id="{anchor}"[^>]*>(.*?)</section>', page, re.DOTALL)
    return found[1] if found else ""


def cells(page, anchor, tags):
    body = "".join(re.findall(r"<tbody>(.*?)</tbody>", section(page, anchor), re.DOTALL))
    return with_digits(words(cell) for cell in re.findall(rf"<(?:{tags})\b[^>]*>(.*?)</(?:{tags})>", body, re.DOTALL))


def drawings(page):
    """Return each figure: its label, the texts in it, and its data."""
    found = {}
    for name, figure in re.findall(r'<figure class="chart[^"]*" id="fig-([^"]+)"(.*?)</figure>', page, re.DOTALL):
        label = unescape(re.search(r'class="plot"[^>]*aria-label="([^"]*)"', figure)[1])
        texts = with_digits(words(text) for text in re.findall(r"<text[^>]*>(.*?)</text>", figure, re.DOTALL))
        sets = json.loads(re.search(r'class="rows" data-kind="[^"]+">(.*?)</script>', figure, re.DOTALL)[1])
        found[name] = label, texts, sets
    return found


def compare(page, told):
    """Hold a page against its fields, section by section, in order; return how many numbers were met."""
    fields = {field.name: field.text for field in told}
    threats = {text for name, text in fields.items() if name.startswith("threat.")}

    def under(stem):
        return [text for name, text in fields.items() if name.startswith(f"{stem}.")]

    met = 0
    for anchor in ("family", "parent", "claimed", "cascade", "scenarios", "provenance", "environment", "flags"):
        found = cells(page, anchor, "t[dh]" if anchor == "family" else "td")
        shown, expected = [text for text in found if text not in threats], with_digits(under(anchor))
        assert shown == expected, anchor
        met += len(shown)
    met += _cards(page, fields, threats) + _drawn(drawings(page), fields, under) + _captions(page, under)
    return met + _rest(page, fields)


def _cards(page, fields, threats):
    cards = re.search(r'<ul class="cards numbers">(.*?)</ul>', page, re.DOTALL)[1]
    shown = [text for text in with_digits(Texts(cards).found) if text not in threats]
    stems = ("clean", "robust", "rank", "sparsity", "size")
    expected = [text for name, text in fields.items() if name.split(".")[0] in stems]
    assert shown == with_digits(expected)
    return len(shown)


def _drawn(found, fields, under):
    met = 0
    for name, (label, texts, sets) in found.items():
        kind, _, norm = name.partition("-")
        norm = {"linf": "Linf", "l2": "L2", "l0": "L0"}.get(norm, norm)
        if kind == "waterfall":
            stages = under(f"waterfall.{norm}")
            assert texts[-len(stages) :] == stages
            assert BAR.findall(label.partition(": ")[2]) == [stage.lstrip("−") for stage in stages]
            assert re.findall(r"\d+", label.partition(": ")[0]) == [stages[0], stages[-1]]
            met += len(stages)
        elif kind == "curves":
            columns = (sets["curves"][name] for name in ("says", "robust", "low", "high"))
            rows = [str(value) for row in zip(*columns, strict=True) for value in row]
            assert rows == under(f"curve.{norm}")
            met += len(rows)
        else:
            assert kind == "layers"
            pairs = zip(sets["layers"]["says"], sets["layers"]["weights"], strict=True)
            rows = [str(value) for pair in pairs for value in pair]
            assert rows == under("layer")
            assert texts[-len(rows) // 2 :] == rows[::2]
            met += len(rows)
    return met


def _captions(page, under):
    texts = re.findall(r"<figcaption>(point.*?)</figcaption>", page, re.DOTALL)
    fields = under("witness")
    assert [words(text.replace("<br>", " ")) for text in texts] == [
        f"point {point}: “{label}”, misread distance {far}, difference × {gain}"
        for point, label, far, gain in zip(*(fields[start::4] for start in range(4)), strict=True)
    ]
    return len(fields)


def _rest(page, fields):
    """Cover what is said in words by fields of words; nothing but the tables and figures above may be left out."""
    page = re.sub(r"<figure.*?</figure>", "", page, flags=re.DOTALL)
    page = re.sub(r'<pre[^>]*aria-label="Command that traces.*?</pre>', "", page, flags=re.DOTALL)  # an id is no number
    page = re.sub(r'<ul class="cards numbers">.*?</ul>|<tbody>.*?</tbody>', "", page, flags=re.DOTALL)
    stems = {"name", "method", "title", "threat", "radius", "level", "black-box", "date", "cite", "reproduce", "badge"}
    stems |= {"history", "verification", "challenge", "withdrawal", "sparsity", "doubt", "environment"}
    known = [text for name, text in fields.items() if name.split(".")[0] in stems and DIGIT.search(text)]
    met, left = 0, []
    for text in with_digits(Texts(page).found):
        rest = text
        for one in sorted(known, key=len, reverse=True):
            ahead = r"(?<![\w.,])" if one[0].isdigit() else ""
            behind = r"(?!\w|[.,]\d)" if one[-1].isdigit() else ""
            rest = re.sub(ahead + re.escape(one) + behind, "", rest)
        met += rest != text
        left += [text] if DIGIT.search(SYMBOLS.sub("", rest)) else []
    assert left == []
    return met


def own(catalogue, entry):
    """Return the fields of an entry's own page."""
    return traced(catalogue, entry)[entry.address]


def rows(page, names):
    """Return what the rows of these entries show on a board, by name and key of the column: texts, also hidden ones."""
    head = re.search(r"<thead>(.*?)</thead>", page, re.DOTALL)[1]
    keys = re.findall(r'data-key="([^"]+)"', head)
    found = {}
    for name, row in re.findall(r'<tr id="([^"]+)"[^>]*>(.*?)</tr>', page, re.DOTALL):
        if name in names:
            cells = re.findall(r"<t[dh]\b[^>]*>(.*?)</t[dh]>", row, re.DOTALL)
            found[name] = {
                key: [words(text) for text in cell.partition('<span class="ci">')[::2]]
                for key, cell in zip(keys, cells, strict=True)
            }
    return found


def compare_boards(catalogue, entries, site):
    """Hold every cell with a number in the rows of entries against its fields; return how many there were."""
    met = 0
    told = {entry: traced(catalogue, entry) for entry in entries}
    for board in catalogue.boards:
        pages = {entry: holding(board, entry) for entry in entries if entry in board.entries}
        fields = {entry: {field.name: field.text for field in told[entry][page]} for entry, page in pages.items()}
        shown = {}
        for entry, page in pages.items():
            shown |= rows((site / page).read_text("utf-8"), {entry.id})
        for column in columns(board):
            if column.key in {"notes", "level", "recipe", "structure", "regime", "network", "method"}:
                continue  # words
            for entry in pages:
                stem = f"board.{board.norm}.{column.key}"
                for text, field in zip(shown[entry.id][column.key], (stem, f"{stem}.small"), strict=True):
                    small = column.key in {"seconds", "joules"} and field.endswith("small")  # a machine's name
                    if DIGIT.search(text) and not small:
                        assert fields[entry].get(field) == text, (entry.id, field)
                        met += 1
    return met


def test_every_number_of_every_board_is_traced(root, site):
    catalogue = read(root)
    assert compare_boards(catalogue, list(catalogue), site) > 400


def test_every_number_of_every_page_is_traced(root, site):
    catalogue = read(root)
    met = [compare((site / entry.address).read_text("utf-8"), own(catalogue, entry)) for entry in catalogue]
    assert len(met) == 8
    assert min(met) > 100


def test_every_number_of_a_published_page_is_traced(monkeypatch):
    monkeypatch.setenv(VARIABLE, str(ROOT / ".github" / "verifiers.toml"))
    catalogue = read(ROOT / "submissions")
    names = ("digits-tiny-linf--magnitude-global-90", "digits-cnn-linf--magnitude-global-90--ft-adv")
    entries = [find(catalogue, name) for name in names]
    for entry in entries:
        hold(ROOT / "leaderboard", traced(catalogue, entry))
        assert compare((ROOT / "leaderboard" / entry.address).read_text("utf-8"), own(catalogue, entry)) > 300
    assert compare_boards(catalogue, entries, ROOT / "leaderboard") > 100


def test_the_comparison_sees_a_number_that_nothing_explains(root, site):
    catalogue = read(root)
    entry = next(iter(catalogue.parents))
    told, page = own(catalogue, entry), (site / entry.address).read_text("utf-8")
    cards = re.sub(r'(<ul class="cards numbers">.*?)\d\d\.\d', r"\g<1>99.9", page, count=1, flags=re.DOTALL)
    row = page.replace("<tbody><tr>", "<tbody><tr><td>12345</td>", 1)
    said = page.replace("</h1>", "</h1><p>Twice as good as 77 others.</p>", 1)
    drawn = page.replace(" points to ", " points to 7", 1)
    for spoilt in (cards, row, said, drawn):
        assert spoilt != page
        with pytest.raises(AssertionError):
            compare(spoilt, told)


def test_every_value_is_what_its_file_holds(root):
    catalogue = read(root)
    entry = next(iter(catalogue.parents))
    looked = 0
    for field in chain(*traced(catalogue, entry).values()):
        assert field.values, field.name
        for value in field.values:
            rules = value.file.startswith("bench/")
            raw = ((ROOT if rules else root) / value.file).read_bytes()
            assert hashlib.sha256(raw).hexdigest() == value.sha256
            if value.file.endswith("result.json"):
                found = json.loads(raw)
                for step in re.findall(r"[^.\[\]]+", value.where):
                    found = found[int(step)] if isinstance(found, list) else found.get(step)
                assert found == value.value
                looked += 1
    assert looked > 150


def test_a_page_that_shows_something_else_is_named(root, site, tmp_path):
    catalogue = read(root)
    entry = find(catalogue, "digits-v1/net-0-dense")
    told = traced(catalogue, entry)
    hold(site, told)
    (clean,) = [field for field in told[entry.address] if field.name == "clean"]
    spoilt = tmp_path / entry.address
    spoilt.parent.mkdir(parents=True)
    spoilt.write_text((site / entry.address).read_text("utf-8").replace(clean.text, "99.9"), "utf-8")
    with pytest.raises(DisagreementError, match="for 'clean'"):
        hold(tmp_path, told)
    with pytest.raises(InputError, match="build the site first"):
        hold(tmp_path / "none", told)


def test_what_a_verifier_took_is_counted(tmp_path):
    folder = write(tmp_path, level=None)
    before = find(read(tmp_path), "small-dense").survivors(Norm.LINF)
    given = record(folder, "re-run", date(2026, 3, 3))
    points = read_points(folder / "points.npz")
    stands = points.standing(Norm.LINF, Fraction(1, 10))[points.id.argsort()]
    fallen = tuple(int(point) for point in np.flatnonzero(stands)[:2])
    stands[list(fallen)] = False
    (linf, *others) = given.threats
    again = linf.model_copy(update={"best_known": before - 2, "fallen": fallen, "verdicts_sha256": verdicts(stands)})
    verify(folder, "re-run", date(2026, 3, 3), threats=(again, *others))
    catalogue = read(tmp_path)
    entry = find(catalogue, "small-dense")
    found = {field.name: field for field in own(catalogue, entry)}
    robust = found["robust.Linf"]
    assert robust.values[0].value == entry.survivors(Norm.LINF) == before - 2
    assert robust.values[0].where.endswith("less 2 that fell to a verifier or a challenge")
    assert found["verification.Linf"].text == "2"


def test_the_command_tells_file_place_value_and_digest(root, site, capsys):
    words_ = ["site", "trace", "net-0-dense", "--submissions", str(root), "--site", str(site)]
    assert run([*words_, "clean"]) == 0
    told = capsys.readouterr().out
    result = root / "digits-v1" / "net-0-dense" / "result.json"
    assert "clean.correct" in told
    assert f"sha256 {hashlib.sha256(result.read_bytes()).hexdigest()}" in told
    assert run([*words_, "robust.Linf", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "bench.trace/1"
    assert {field["name"] for field in document["fields"]} >= {"robust.Linf", "robust.Linf.interval"}
    assert run(words_) == 0
    assert len(capsys.readouterr().out.splitlines()) > 100
    assert run([*words_, "robst.Linf"]) == 2
    assert "Did you mean 'robust.Linf'" in capsys.readouterr().err


def test_an_entry_that_is_none_names_the_near_ones(root):
    with pytest.raises(UsageError, match="Did you mean 'net-0-dense'"):
        find(read(root), "net-0-dens")

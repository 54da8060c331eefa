"""What earlier builds left is used where nothing changed, and changes no byte of the site."""

import shutil
import sqlite3
from dataclasses import replace
from datetime import date
from fractions import Fraction

import pytest

from bench.errors import SubmissionError
from bench.site import folders, printing
from bench.site.build import build
from bench.site.store import FILE, opened
from bench.submission.verifiers import VARIABLE
from tests.support.builders import Cell, cells, write
from tests.support.challenging import lay
from tests.support.signers import LIST, verify


def test_what_was_kept_is_found_and_what_nobody_asked_for_is_dropped(tmp_path):
    with opened(tmp_path) as store:
        store.put("a", b"one")
        store.put("b", b"two")
    with opened(tmp_path) as store:
        assert store.get("a") == b"one"
    with opened(tmp_path) as store:
        assert (store.get("a"), store.get("b")) == (b"one", None)


def test_a_build_that_breaks_off_leaves_the_store_as_it_was(tmp_path):
    with opened(tmp_path) as store:
        store.put("a", b"one")
    with pytest.raises(TypeError), opened(tmp_path) as store:
        _ = [store.put(name, body) for name, body in (("a", b"two"), ("b", None))]
    with opened(tmp_path) as store:
        assert store.get("a") == b"one"


@pytest.mark.parametrize("harm", ["UPDATE kept SET body = body || x'00'", "UPDATE kept SET body = x''"])
def test_what_was_altered_is_not_returned(tmp_path, harm):
    with opened(tmp_path) as store:
        store.put("a", b"one")
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute(harm)
    with opened(tmp_path) as store:
        assert store.get("a") is None


def test_a_file_that_is_no_store_is_begun_anew(tmp_path):
    (tmp_path / FILE).write_bytes(b"poetry " * 1000)
    with opened(tmp_path) as store:
        assert store.get("a") is None
        store.put("a", b"one")
    with opened(tmp_path) as store:
        assert store.get("a") == b"one"


HALF = Cell(
    id="half", parent="net-0", recipe="magnitude-global", sparsity=Fraction(1, 2), strength=0.9, lottery=40, level=None
)
CHANGES = {
    "a child more": lambda root: write(root, HALF),
    "a child that is signed": lambda root: verify(root / "digits-v1" / "half", "re-run", HALF.day),
    "a newer version": lambda root: write(root, replace(HALF, id="better", supersedes="half", weights="half")),
    "an entry of a family apart": lambda root: write(root, replace(HALF, id="other", parent="other", lottery=41)),
    "a child less": lambda root: shutil.rmtree(root / "digits-v1" / "net-0-magnitude-global-1of2"),
    "the parent less": lambda root: shutil.rmtree(root / "digits-v1" / "net-0-dense"),
    "words": lambda root: (root / "digits-v1" / "other" / "submission.toml").write_text(
        (root / "digits-v1" / "other" / "submission.toml").read_text("utf-8").replace("synthetic", "quiet"), "utf-8"
    ),
}


def test_a_site_from_the_store_is_the_site_made_anew(tmp_path):
    root, keep = tmp_path / "submissions", tmp_path / "keep"
    for cell in cells(4):
        write(root, cell)
    assert build(root, keep) == build(root)
    for name, change in CHANGES.items():
        change(root)
        assert build(root, keep) == build(root), name


def test_what_was_signed_of_an_older_version_reaches_the_pages_of_its_family(tmp_path):
    root, keep = tmp_path / "submissions", tmp_path / "keep"
    for cell in cells(3):
        write(root, cell)
    first = cells(1)[0]
    newer = replace(first, id="newer", weights=first.id, supersedes=first.id, level="re-run", day=date(2026, 3, 3))
    write(root, newer)
    before = build(root, keep)
    lay(root / "digits-v1" / first.id)
    after = build(root)
    assert build(root, keep) == after
    page = "entries/digits-v1/net-0-magnitude-global-1of2/index.html"
    assert before[page] != after[page]


def test_a_team_that_a_verifier_joins_is_told_on_pages_that_were_kept(tmp_path, monkeypatch):
    root, keep = tmp_path / "submissions", tmp_path / "keep"
    folder = write(root)
    build(root, keep)
    joined = tmp_path / "verifiers.toml"
    joined.write_text(LIST.read_text("utf-8").replace('"The Team"', '"A. Author"'), "utf-8")
    monkeypatch.setenv(VARIABLE, str(joined))
    made = build(root, keep)
    assert made == build(root)
    assert b"Author and verifier are one team." in made[f"entries/digits-v1/{folder.name}/index.html"]


def test_what_has_not_changed_is_neither_examined_nor_printed_again(tmp_path, monkeypatch):
    root, keep = tmp_path / "submissions", tmp_path / "keep"
    for cell in cells(18):
        write(root, cell)
    build(root, keep)
    write(root, replace(HALF, id="late", parent="net-1", lottery=50))
    printed, examined = [], []
    whole, look = printing._print, folders.examine

    def printing_one(catalogue, entry, press):
        printed.append(entry.id)
        return whole(catalogue, entry, press)

    def looking(place, known=None):
        examined.extend([] if known is not None else [place.name])
        return look(place, known)

    monkeypatch.setattr(printing, "_print", printing_one)
    monkeypatch.setattr(folders, "examine", looking)
    build(root, keep)
    assert examined == ["late"]
    assert "late" in printed
    assert "net-1-dense" in printed  # its page lists its children
    assert not any(name.startswith("net-0") for name in printed)


def test_a_folder_that_was_sound_is_examined_when_it_changes(tmp_path):
    root, keep = tmp_path / "submissions", tmp_path / "keep"
    folder = write(root)
    build(root, keep)
    (folder / "witnesses.npz").write_bytes((folder / "witnesses.npz").read_bytes()[:-40])
    with pytest.raises(SubmissionError, match=r"witnesses\.npz"):
        build(root, keep)

"""An entry speaks of itself alone: it replaces what is its authors' own, and is nobody else's network."""

import json
import re
import shutil
import time
from datetime import date
from fractions import Fraction

import numpy as np
import pytest

from bench.cli.main import run
from bench.errors import SubmissionError
from bench.site.build import build
from bench.site.entries import read
from bench.submission import check
from bench.submission.arrays import pack_arrays, read_arrays
from bench.submission.check import problems, survey
from bench.submission.files import canonical
from bench.submission.people import RESERVED, rebuilt
from bench.submission.relations import Neighbour, neighbours, relation_problems
from bench.submission.schema import Result
from bench.submission.withdrawal import withdraw
from tests.support.builders import write
from tests.support.carrying import SMALL, carry
from tests.support.signers import OLD, STRANGER, verify


def by(folder, *authors):
    path = folder / "submission.toml"
    path.write_text(re.sub(r"authors = .*", f"authors = {json.dumps(authors)}", path.read_text("utf-8")), "utf-8")
    return folder


def weighing(folder, digest):
    """Give an entry another network's digest."""
    (folder / "verification.json").unlink()
    result = json.loads((folder / "result.json").read_text("utf-8"))
    old = result["model"]["weights_sha256"]
    result["model"]["weights_sha256"] = digest
    (folder / "result.json").write_bytes(canonical(result))
    path = folder / "submission.toml"
    path.write_text(path.read_text("utf-8").replace(old, digest), "utf-8")
    return folder


def test_an_author_replaces_their_own_entry_along_a_line(tmp_path):
    write(tmp_path, id="first")
    write(tmp_path, id="second", supersedes="first")
    third = by(write(tmp_path, id="third", supersedes="second"), "B. Author", "C. Author")
    assert problems(third) == []
    assert len(read(tmp_path).superseded) == 2


def test_nobody_replaces_the_entry_of_another(tmp_path):
    write(tmp_path, id="theirs")
    found = problems(by(write(tmp_path, id="mine", supersedes="theirs"), "Somebody Else"))
    assert found == [
        "submission.toml: supersedes 'theirs' of A. Author, B. Author; only who is an author of both can replace it."
    ]
    with pytest.raises(SubmissionError, match=r"digits-v1/mine: submission\.toml: supersedes 'theirs'"):
        read(tmp_path)


def test_what_is_replaced_exists(tmp_path):
    assert any("no such entry stands beside it" in problem for problem in problems(write(tmp_path, supersedes="ghost")))


def test_an_entry_is_replaced_once_and_never_in_a_circle(tmp_path):
    write(tmp_path, id="old")
    write(tmp_path, id="one", supersedes="old")
    two = write(tmp_path, id="two", supersedes="old")
    assert any("which is superseded already, by one." in problem for problem in problems(two))
    for name, before in (("a", "c"), ("b", "a"), ("c", "b")):
        write(tmp_path / "circle", id=name, supersedes=before)
    for name in "abc":
        assert any("supersedes it in turn" in problem for problem in problems(tmp_path / "circle" / "digits-v1" / name))


def test_the_network_of_another_entry_is_no_entry(tmp_path):
    theirs = write(tmp_path, id="theirs")
    digest = json.loads((theirs / "result.json").read_text("utf-8"))["model"]["weights_sha256"]
    copy = weighing(write(tmp_path, id="a-copy"), digest)
    assert any("model.weights_sha256 is that of theirs" in problem for problem in problems(copy))
    again = weighing(write(tmp_path / "again", id="later", supersedes="first"), digest)
    weighing(write(tmp_path / "again", id="first"), digest)
    assert problems(again) == []


def test_neighbours_that_cannot_be_read_hide_nothing(tmp_path):
    first, second = write(tmp_path, id="first"), write(tmp_path, id="second", supersedes="gone")
    (first / "result.json").write_bytes(b"\xff")
    (tmp_path / "digits-v1" / "empty").mkdir()
    (tmp_path / "digits-v1" / "loop").symlink_to(tmp_path / "digits-v1" / "loop")
    told = list(survey([first, second]))
    assert any("Invalid JSON" in problem for problem in told[0])
    assert any("supersedes 'gone'" in problem for problem in told[1])


def test_a_site_names_every_folder_at_fault(tmp_path, capsys):
    for number in range(14):
        folder = write(tmp_path, id=f"entry-{number:02}")
        for stray in range(12 if number == 0 else 1):
            (folder / f"stray-{stray}").touch()
    assert run(["site", "build", "--submissions", str(tmp_path), "--out", str(tmp_path / "site")]) == 3
    told = capsys.readouterr().err
    assert "digits-v1/entry-00: 'stray-0' does not belong" in told
    assert "And 10 more." in told
    assert "digits-v1/entry-13: 'stray-0' does not belong" in told


def test_entries_are_related_in_time_that_grows_as_they_do():
    def related(count):
        entries = {
            f"e{number}": Neighbour(frozenset({"A"}), f"e{number - 1}" if number % 10 else None, f"{number % 5000}")
            for number in range(count)
        }
        started = time.process_time()
        found = relation_problems(entries)
        return found, time.process_time() - started

    little = min(related(1000)[1] for _ in range(3))
    found, spent = related(10_000)
    assert spent < 40 * little  # every pair of them would take a hundred times as long
    assert len(found) == 10_000
    (says,) = found["e7"]
    assert says.startswith("result.json: model.weights_sha256 is that of e5007; a network stands on a board once and")


def test_two_thousand_entries_are_held_apart_in_little_time():
    chance = np.random.default_rng(0)
    entries = {
        f"e{number}": Neighbour(frozenset({f"A{number}"}), None, f"{number}", distances=row)
        for number, row in enumerate(chance.lognormal(size=(2000, 128)).astype(np.float32))
    }
    entries["e1999"] = entries["e1999"]._replace(distances=entries["e3"].distances * np.float32(1.0001))
    started = time.process_time()
    found = relation_problems(entries)
    assert time.process_time() - started < 10
    assert [name for name, told in found.items() if told] == ["e3", "e1999"]
    known = frozenset(entries) - {"e1999"}
    started = time.process_time()
    assert relation_problems(entries, known) == found
    assert time.process_time() - started < 1
    assert not any(relation_problems(entries, frozenset(entries)).values())  # what is said to be apart is believed


@pytest.mark.parametrize("place", ["cifar10-v1", "literature", "digits-v9"])
def test_an_entry_lies_among_those_of_its_protocol(tmp_path, place):
    """Elsewhere nothing would be its copy, and the board could not be built."""
    folder = write(tmp_path)
    elsewhere = tmp_path / place / folder.name
    elsewhere.parent.mkdir()
    folder.rename(elsewhere)
    assert problems(elsewhere) == [
        f"lies in the folder '{place}', but was measured under 'digits-v1', whose entries lie in submissions/digits-v1."
    ]


@pytest.mark.parametrize("name", ["con", "nul.net", "com0", "lpt9.v2", "channels", "fig-x", "end.", "main"])
def test_no_id_is_one_that_a_page_or_a_file_system_keeps(tmp_path, name):
    assert any(f"the id {name!r}" in problem for problem in problems(write(tmp_path, id=name)))


def test_every_anchor_of_a_boards_own_is_kept(root):
    entries = {path.name for path in root.glob("submissions/*/*")}
    pages = [path.read_text("utf-8") for path in sorted((root / "leaderboard" / "boards").glob("*.html"))]
    anchors = {anchor for page in pages for anchor in re.findall(r'\bid="([^"]+)"', page)} - entries
    assert {"board", "channels", "tools"} <= anchors
    assert {anchor for anchor in anchors if not anchor.startswith("fig-")} <= RESERVED


def test_a_fault_of_the_check_on_one_folder_spares_the_others(tmp_path, monkeypatch):
    first, second = write(tmp_path, id="first"), write(tmp_path, id="second")
    whole = check.examine

    def stumbles(folder):
        if folder == first:
            raise RecursionError("too deep")
        return whole(folder)

    monkeypatch.setattr(check, "examine", stumbles)
    told = list(survey([first, second]))
    assert told == [["the check itself failed here (RecursionError: too deep); please report it with the folder."], []]


def named(folder, parent):
    path = folder / "submission.toml"
    path.write_text(f'parent = "{parent}"\n' + path.read_text("utf-8"), "utf-8")
    return folder


def family(root, *, authors, level=None, **changes):
    """Write a stranger's dense entry and a pruned one that was measured beside a network of the same digest."""
    dense = write(root, id="small-dense", parent="small", level=level)
    by(dense, *authors)
    return write(
        root, id="half", parent="small", recipe="magnitude-global", sparsity=Fraction(1, 2), level=None, **changes
    )


def parents(root):
    return {child.id: parent.id for child, parent in read(root).parents.items()}


def test_a_strangers_dense_entry_is_nobodys_parent(tmp_path):
    """Its counts would otherwise be what everybody else's retention is measured by."""
    family(tmp_path / "strange", authors=["Somebody Else"])
    assert parents(tmp_path / "strange") == {}
    family(tmp_path / "own", authors=["  b. AUTHOR".strip()])
    assert parents(tmp_path / "own") == {"half": "small-dense"}


def test_a_dense_entry_that_was_run_again_is_the_parent_of_all(tmp_path):
    family(tmp_path, authors=["Somebody Else"], level="re-run")
    assert parents(tmp_path) == {"half": "small-dense"}


def test_a_parent_gives_way_to_a_measurement_of_the_same_network_alone(tmp_path):
    """Whoever replaces a dense entry by another network moves nobody's retention."""
    for weights, parent in (("small-dense", "b-dense"), ("b-dense", "small-dense")):
        root = tmp_path / parent
        family(root, authors=["A. Author"])
        write(root, id="b-dense", lottery=4, supersedes="small-dense", weights=weights)
        assert parents(root) == {"half": parent}


def test_a_parent_is_named_by_its_entry_and_verified_by_its_digest(tmp_path):
    child = named(family(tmp_path, authors=["Somebody Else"]), "small-dense")
    assert problems(child) == []
    assert parents(tmp_path) == {"half": "small-dense"}


@pytest.mark.parametrize(
    ("parent", "says"),
    [
        ("ghost", "no such entry stands beside it"),
        ("other-dense", "but this entry was measured beside a parent with"),
        ("half", "parent names the dense network that a pruned one came from, but 'half' is pruned"),
    ],
)
def test_a_parent_that_is_none_is_refused(tmp_path, parent, says):
    child = named(family(tmp_path, authors=["Somebody Else"]), parent)
    write(tmp_path, id="other-dense", parent="other", lottery=3)
    assert any(says in problem for problem in problems(child)), problems(child)


def test_a_parent_that_is_a_file_has_an_entry_before_its_child(tmp_path):
    """Nobody could measure the child again, and a review would end before its first comparison."""
    child = carry(family(tmp_path, authors=["A. Author"]))
    told = json.loads((child / "result.json").read_text("utf-8"))
    told["model"]["parent"] = "dense.safetensors"
    (child / "result.json").write_bytes(canonical(told))
    (says,) = problems(child)
    assert "the dense parent 'dense.safetensors' is a file with weights" in says
    assert "hand in its own run first" in says
    carry(tmp_path / "digits-v1" / "small-dense", SMALL[:-1] + b"x")
    assert problems(child) == []


def test_a_dense_entry_has_no_parent(tmp_path):
    write(tmp_path, id="other")
    child = named(write(tmp_path, id="dense", lottery=3), "other")
    assert any("but this entry is dense itself" in problem for problem in problems(child))


def test_a_network_with_other_bytes_and_the_same_answers_is_a_copy(tmp_path):
    """A weight that does nothing changes the digest of the weights and no distance."""
    write(tmp_path, id="theirs", lottery=1)
    copy = by(write(tmp_path, id="a-copy", lottery=1), "Somebody Else")
    assert any("every prediction and distance is that of theirs" in problem for problem in problems(copy))


def test_the_file_of_another_entry_is_no_entry(tmp_path):
    """From one file no two networks are read, whatever digests a record invents."""
    carry(write(tmp_path, id="theirs", lottery=1))
    copy = carry(by(write(tmp_path, id="a-copy", lottery=2), "Somebody Else"))
    assert [told for told in problems(copy) if "model.file_sha256 is that of theirs" in told]
    pruned = {"recipe": "magnitude-global", "sparsity": Fraction(1, 2), "lottery": 3}
    assert problems(carry(write(tmp_path, id="pruned-here", parent="theirs", **pruned))) == []


def disguised(folder, by_less, seed=0):
    """Move every distance a little, as another order of a network's channels does."""
    arrays = read_arrays(folder / "points.npz")
    chance = np.random.default_rng(seed)
    for norm in ("Linf", "L2"):
        arrays[f"distance_{norm}"] *= 1 - by_less * chance.random(len(arrays["id"]), dtype=np.float32)
    (folder / "points.npz").write_bytes(pack_arrays(arrays))
    return folder


def test_a_copy_in_disguise_is_told_by_its_distances(tmp_path):
    write(tmp_path, id="theirs", lottery=1, level=None)
    copy = disguised(by(write(tmp_path, id="a-copy", lottery=1, level=None), "Somebody Else"), 1e-4)
    (told,) = problems(copy)
    assert told.startswith("result.json: most distances are those of theirs; a network stands on a board")


def test_a_copy_in_disguise_is_found_beside_entries_that_a_build_kept_as_apart(tmp_path):
    root, keep = tmp_path / "submissions", tmp_path / "keep"
    for number, name in enumerate(("theirs", "others")):
        write(root, id=name, lottery=number, level=None)
    build(root, keep)
    copy = disguised(by(write(root, id="a-copy", lottery=0, level=None), "Somebody Else"), 1e-4)
    for _ in range(2):
        with pytest.raises(SubmissionError, match=r"a-copy: result\.json: most distances are those of theirs"):
            build(root, keep)
    shutil.rmtree(copy)
    assert build(root, keep) == build(root)


def test_a_network_a_little_less_robust_is_another_one(tmp_path):
    write(tmp_path, id="theirs", lottery=1, level=None)
    assert problems(by(write(tmp_path, id="other", lottery=1, strength=0.98, level=None), "Somebody Else")) == []


def test_what_lost_weights_that_did_nothing_answers_as_its_parent(tmp_path):
    pruned = {"recipe": "magnitude-global", "sparsity": Fraction(1, 2), "parent": "small", "lottery": 1}
    write(tmp_path, id="small-dense", lottery=1, level=None)
    child = disguised(by(write(tmp_path, id="half", level=None, **pruned), "Somebody Else"), 1e-4)
    assert problems(child) == []
    again = disguised(by(write(tmp_path, id="again", level=None, **pruned), "A Third"), 1e-4, seed=1)
    assert any("most distances are those of half" in problem for problem in problems(again))


def test_networks_that_tell_little_are_not_taken_for_copies(tmp_path):
    write(tmp_path, id="one", collapsed=True)
    assert problems(write(tmp_path, id="two", collapsed=True)) == []


def test_nothing_is_dated_in_the_future(tmp_path):
    folder = write(tmp_path, level=None)
    path = folder / "submission.toml"
    path.write_text(re.sub(r"^date = .*", "date = 2999-01-01", path.read_text("utf-8"), flags=re.MULTILINE), "utf-8")
    assert any("dated 2999-01-01, which is in the future" in problem for problem in problems(folder))


@pytest.mark.parametrize(
    "locator",
    [
        "net.safetensors", "embedded:other", "embedded:small pruned by charm", "my laptop", "hf:a/b",
        "python:os:system",
        "https://drive.google.com/file/d/1/view", "https://huggingface.co/a/b/resolve/main/x", "ftp://zenodo.org/records/1",
        "https://zenodo.org/records/1", "https://github.com/a/b/blob/main/x", "../../weights.safetensors", "git://a/b",
    ],
)  # fmt: skip
def test_weights_lie_where_they_stay_or_are_rebuilt(tmp_path, locator):
    folder = write(tmp_path)
    path = folder / "submission.toml"
    path.write_text(path.read_text("utf-8").replace('"embedded:small"', json.dumps(locator)), "utf-8")
    assert any("weights.locator" in problem for problem in problems(folder)), problems(folder)


@pytest.mark.parametrize("regime", ["bn", "ft-adv"])
def test_what_learned_after_pruning_is_no_words_to_rebuild_by(tmp_path, regime):
    folder = write(tmp_path, id="net", recipe="magnitude-global", sparsity=Fraction(1, 2))
    result = json.loads((folder / "result.json").read_text("utf-8"))
    assert problems(folder) == []
    result["pruning"]["regime"] = regime
    (folder / "result.json").write_text(json.dumps(result), "utf-8")
    words = f"{result['model']['ref']} pruned by magnitude-global version 1 at sparsity 1/2, then {regime}"
    path = folder / "submission.toml"
    text = re.sub(r"^locator = .*", f"locator = {json.dumps(words)}", path.read_text("utf-8"), flags=re.MULTILINE)
    path.write_text(text, "utf-8")
    assert any("is no place of weights" in problem for problem in problems(folder)), problems(folder)


def test_a_network_that_others_published_pruned_is_named_however_they_trained_it(tmp_path):
    folder = write(tmp_path, id="net")
    result = json.loads((folder / "result.json").read_text("utf-8"))
    result["pruning"] |= {"recipe": None, "method": "HYDRA", "version": 0, "scope": "none", "regime": "ft-adv"}
    assert rebuilt(Result.model_validate_json(json.dumps(result))) == result["model"]["ref"]


FORGED, READ = 64 * "f", 64 * "5"


def lines(*folders):
    """Return what the check says of the pixels of each folder, by its name."""
    told = zip(folders, survey(list(folders)), strict=True)
    found = {folder.name: [says for says in problems if "data.digest is" in says] for folder, problems in told}
    assert all(len(says) <= 1 for says in found.values())
    return {name: says[0] for name, says in found.items() if says}


def entry(root, name, pixels, level=None, **more):
    return write(root, id=name, protocol="svhn-v1", pixels=pixels, level=level, **more)


def test_entries_under_pinned_files_say_nothing_while_they_read_the_same(tmp_path):
    folders = [entry(tmp_path, name, READ, level) for name, level in (("a", None), ("b", "re-run"), ("c", "checked"))]
    assert list(survey(folders)) == [[], [], []]
    assert len(read(tmp_path).by_protocol["svhn-v1"]) == 3


def test_two_entries_that_read_other_pixels_are_both_refused_until_a_verifier_has_read_them(tmp_path):
    """Neither the day nor the name of an entry makes it the right one: both are its authors' words."""
    first, second = entry(tmp_path, "a", FORGED), entry(tmp_path, "b", READ, day=date(2026, 3, 9))
    told = lines(first, second)
    assert list(told) == ["a", "b"]
    assert f"data.digest is {READ}, but a, which nobody has measured again yet, has {FORGED}" in told["b"]
    verify(second, "re-run", date(2026, 3, 12))
    told = lines(first, second)
    assert list(told) == ["a"]
    assert f"data.digest is {FORGED}, but b, which a verifier measured again, has {READ}" in told["a"]
    with pytest.raises(SubmissionError, match=r"svhn-v1/a: result\.json: data\.digest is"):
        read(tmp_path)


def test_a_newcomer_answers_to_what_a_verifier_has_read(tmp_path):
    signed, mine = entry(tmp_path, "signed", READ, "checked"), entry(tmp_path, "a-first-one", FORGED)
    assert list(lines(signed, mine)) == ["a-first-one"]


@pytest.mark.parametrize("key", [STRANGER, OLD])
def test_a_signature_that_does_not_count_vouches_for_no_pixels(tmp_path, key):
    forged, honest = entry(tmp_path, "forged", FORGED, day=date(2026, 3, 8)), entry(tmp_path, "honest", READ)
    verify(forged, "re-run", date(2026, 3, 10), key=key)
    assert list(lines(forged, honest)) == ["forged", "honest"]


def test_a_signature_of_another_result_vouches_for_no_pixels(tmp_path):
    forged, honest = entry(tmp_path, "forged", READ, "re-run"), entry(tmp_path, "honest", READ)
    path = forged / "result.json"
    path.write_bytes(path.read_bytes().replace(READ.encode(), FORGED.encode()))
    assert list(lines(forged, honest)) == ["forged", "honest"]


def test_two_verifiers_who_read_other_pixels_are_told(tmp_path):
    assert list(lines(entry(tmp_path, "a", READ, "re-run"), entry(tmp_path, "b", FORGED, "re-run"))) == ["a", "b"]


def test_what_was_superseded_or_withdrawn_stands_in_nobodys_way(tmp_path):
    old, new = entry(tmp_path, "old", FORGED), entry(tmp_path, "new", READ, supersedes="old")
    gone, other = entry(tmp_path, "gone", FORGED), entry(tmp_path, "other", READ)
    withdraw(gone, "A. Author", "Measured on slices.", date(2026, 3, 3))
    assert lines(old, new, gone, other) == {}
    rival = entry(tmp_path, "rival", FORGED)
    assert list(lines(old, new, gone, other, rival)) == ["new", "other", "rival"]


def test_what_a_verifier_read_stays_though_it_was_superseded(tmp_path):
    old, new = entry(tmp_path, "old", READ, "re-run"), entry(tmp_path, "new", FORGED, supersedes="old")
    assert list(lines(old, new)) == ["new"]


def test_pixels_that_the_rules_know_are_held_against_them_alone(tmp_path):
    assert problems(write(tmp_path, id="a", level=None)) == []
    assert neighbours(tmp_path / "digits-v1")["a"].pixels is None

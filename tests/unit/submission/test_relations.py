"""An entry speaks of itself alone: it replaces what is its authors' own, and is nobody else's network."""

import json
import re
import time

import pytest

from bench.cli.main import run
from bench.errors import SubmissionError
from bench.site.entries import read
from bench.submission import check
from bench.submission.check import problems, survey
from bench.submission.files import canonical
from bench.submission.relations import Neighbour, relation_problems
from tests.support.builders import write


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


def test_ten_thousand_entries_are_related_in_no_time():
    entries = {
        f"e{number}": Neighbour(frozenset({"A"}), f"e{number - 1}" if number % 10 else None, f"{number % 5000}")
        for number in range(10_000)
    }
    started = time.process_time()
    found = relation_problems(entries)
    assert time.process_time() - started < 2
    assert len(found) == 10_000
    (says,) = found["e7"]
    assert says.startswith("result.json: model.weights_sha256 is that of e5007; a network stands on a board once and")


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

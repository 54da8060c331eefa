"""A build touches what an earlier build wrote, and nothing else."""

import os
import subprocess

import pytest

from bench.cli.main import run
from bench.errors import BenchError, InputError
from bench.site import place as module
from bench.site.place import MANIFEST, _digests, _spell, differences, place, strangers

OLD = {"index.html": b"old", "entries/a/index.html": b"a", "entries/b/index.html": b"b", "assets/site.css": b"{}"}
NEW = {"index.html": b"new", "entries/b/index.html": b"b", "figures/one.svg": b"<svg/>"}


def tree(out):
    """Return every file below a folder, dots included."""
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def site(files):
    return {**files, MANIFEST: _spell(_digests(files))}


def test_a_second_build_replaces_the_first(tmp_path):
    assert place(OLD, tmp_path / "site") == sorted(OLD)
    assert place(NEW, tmp_path / "site") == [
        "assets/site.css", "entries/a/index.html", "figures/one.svg", "index.html",
    ]  # fmt: skip
    assert tree(tmp_path / "site") == site(NEW)
    assert not (tmp_path / "site" / "assets").exists()
    assert place(NEW, tmp_path / "site") == []
    assert differences(NEW, tmp_path / "site") == []


def test_the_manifest_is_what_sha256sum_reads(tmp_path):
    place(OLD, tmp_path)
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", MANIFEST], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_foreign_page_beside_a_repository_is_left_alone(tmp_path):
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / "index.html").write_text("my home page", "utf-8")
    (tmp_path / "thesis.tex").write_text("years of work", "utf-8")
    before = tree(tmp_path)
    with pytest.raises(InputError, match=r"holds 'index\.html', 'thesis\.tex', but no manifest"):
        place(NEW, tmp_path)
    assert tree(tmp_path) == before


def test_foreign_files_beside_a_built_site_stay(tmp_path):
    place(OLD, tmp_path)
    for path in (".git/config", ".well-known/key", "CNAME", "entries/a/notes.txt", "assets/.keep", ".index.html.x"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path, "utf-8")
    (tmp_path / "empty").mkdir()
    place(NEW, tmp_path)
    assert {path for path in tree(tmp_path) if path not in site(NEW)} == {
        ".git/config", ".well-known/key", "CNAME", "entries/a/notes.txt", "assets/.keep", ".index.html.x",
    }  # fmt: skip
    assert (tmp_path / "empty").is_dir()
    assert strangers(NEW, tmp_path) == ["CNAME", "entries/a/notes.txt"]
    assert differences(NEW, tmp_path) == ["CNAME", "entries/a/notes.txt"]


def test_a_foreign_file_where_the_site_goes_stops_the_build_before_it_begins(tmp_path):
    place(OLD, tmp_path)
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "one.svg").write_text("drawn by hand", "utf-8")
    before = tree(tmp_path)
    with pytest.raises(InputError, match=r"'figures/one\.svg', which no build of this site has written"):
        place(NEW, tmp_path)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("at", range(1, 6))
def test_a_build_that_is_interrupted_anywhere_is_finished_by_building_again(tmp_path, monkeypatch, at):
    for files in (OLD, NEW):
        out = tmp_path / "site"
        written = 0

        def stop(path, content):
            nonlocal written
            written += 1
            if written == at:
                raise KeyboardInterrupt
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

        with monkeypatch.context() as patch:
            patch.setattr(module, "write_atomic", stop)
            try:
                place(files, out)
            except KeyboardInterrupt:
                assert written == at
        place(files, out)
        assert tree(out) == site(files)


def test_a_build_whose_removals_are_interrupted_is_finished_too(tmp_path, monkeypatch):
    place(OLD, tmp_path)

    def stop(out, path):
        raise BenchError("cannot remove")

    with monkeypatch.context() as patch:
        patch.setattr(module, "_remove", stop)
        with pytest.raises(BenchError):
            place(NEW, tmp_path)
    place(NEW, tmp_path)
    assert tree(tmp_path) == site(NEW)


@pytest.mark.parametrize(
    "path", ["../thesis.tex", "/etc/hostname", ".git/config", "entries/../../thesis.tex", "./x", "a//b", "entries/.x/y"]
)
def test_a_manifest_that_lists_what_no_site_holds_removes_nothing_of_it(tmp_path, path):
    out = tmp_path / "site"
    place(OLD, out)
    (tmp_path / "thesis.tex").write_text("years of work", "utf-8")
    (out / ".git").mkdir()
    (out / ".git" / "config").write_text("[core]", "utf-8")
    with (out / MANIFEST).open("a", encoding="utf-8") as file:
        file.write(f"{'0' * 64}  {path}\n<<<<<<< ours\n\x00\n")
    place(NEW, out)
    assert (tmp_path / "thesis.tex").read_text("utf-8") == "years of work"
    assert tree(out) == {**site(NEW), ".git/config": b"[core]"}


@pytest.mark.parametrize("name", ["entries", "index.html", MANIFEST, "figures"])
def test_nothing_is_written_through_a_link(tmp_path, name):
    out, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    out.mkdir()
    (out / name).symlink_to(elsewhere)
    with pytest.raises(InputError, match=f"'{name}', which no build"):
        place(NEW, out)
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize("name", ["index.html", "entries", MANIFEST])
def test_a_pipe_in_the_way_is_named_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match=f"'{name}', which no build"):
        place(NEW, tmp_path)


def test_a_folder_in_place_of_a_page_is_named(tmp_path):
    (tmp_path / "index.html").mkdir()
    with pytest.raises(InputError, match=r"'index\.html', which no build"):
        place(NEW, tmp_path)


def test_a_file_in_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "out").write_text("x", "utf-8")
    assert run(["site", "build", "--submissions", str(tmp_path), "--out", str(tmp_path / "out")]) == 3

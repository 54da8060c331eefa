"""One threat model is a whole run, a whole submission and a place on one board; more can be added later."""

import re
from pathlib import Path

import pytest

from bench.cli.main import run
from bench.site import inspect
from bench.site.build import build
from bench.submission.files import read_result
from bench.threats import Norm

MODEL = ["--model", "embedded:digits-tiny-linf", "--protocol", "digits-smoke-v1"]
PEOPLE = ["--author", "A. Author", "--licence", "MIT"]
HOME = "submissions/digits-smoke-v1"
LINF, L0 = (f"boards/digits-smoke-v1-{name}.html" for name in ("linf", "l0"))


@pytest.fixture
def place(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bench.evaluation.environment.code_is_dirty", lambda: False)
    return tmp_path


def measure(*norms, out="tiny"):
    threats = [word for norm in norms for word in ("--threat", norm)]
    assert run(["evaluate", *MODEL, *threats, "--out", out]) == 0
    return read_result(Path(out) / "result.json")


def listed(page):
    """Return the entries of a board, in its order."""
    return re.findall(r'<tr id="([^"]+)"', page.decode())


def site(place):
    files = build(place / "submissions")
    assert inspect.problems(files) == []
    return files


def test_a_norm_alone_is_submitted_and_another_one_follows(place, capsys):
    first = measure("L0")
    assert (first.standard, first.deviations, [threat.norm for threat in first.threats]) == (True, (), [Norm.L0])
    assert run(["submission", "new", "tiny", "--id", "one", *PEOPLE]) == 0
    assert run(["submission", "check", f"{HOME}/one"]) == 0, capsys.readouterr().out
    files = site(place)
    assert listed(files[L0]) == ["one"]
    assert LINF not in files, "a board without entries"
    page = files["entries/digits-smoke-v1/one/index.html"].decode()
    assert "Not measured under L∞ 1/10 and L2 1/2: an entry may bring any" in page
    assert "L0 2 pixels" in page
    assert f"{first.cost.seconds:.0f} s on" in page

    second = measure("Linf")
    assert [threat.norm for threat in second.threats] == [Norm.LINF, Norm.L0]
    assert second.standard
    before, after = first.threat(Norm.L0), second.threat(Norm.L0)
    assert (after.robust, after.attacks) == (before.robust, before.attacks), "its own cascade says what it said"
    assert after.best_known <= before.best_known
    assert second.cost.energy == (), "a part of the run came before"
    assert run(["submission", "new", "tiny", "--id", "two", *PEOPLE]) == 0
    told = place / HOME / "two" / "submission.toml"
    told.write_text(f'supersedes = "one"\n{told.read_text("utf-8")}', "utf-8")
    assert run(["submission", "check", f"{HOME}/one", f"{HOME}/two"]) == 0, capsys.readouterr().out
    files = site(place)
    assert sorted(listed(files[L0])) == ["one", "two"]
    assert listed(files[LINF]) == ["two"]
    assert "boards/digits-smoke-v1-l2.html" not in files


def test_a_child_is_replayed_and_held_against_its_parent_under_what_both_bring(place, capsys):
    measure("L0", out="dense")
    words = ["--recipe", "magnitude-global", "--sparsity", "0.5", "--threat", "Linf", "--threat", "L0"]
    assert run(["evaluate", *MODEL, *words, "--no-parent-run", "--out", "half"]) == 0
    half = read_result(place / "half" / "result.json")
    assert set(half.scenarios["transfer"].robust) == {Norm.L0}
    assert half.deviations == ("no transfer from the parent: 'dense' was not attacked under Linf 1/10",)
    assert run(["evaluate", *MODEL, *words, "--out", "half"]) == 0
    half = read_result(place / "half" / "result.json")
    assert (half.standard, set(half.scenarios["transfer"].robust)) == (True, {Norm.LINF, Norm.L0})
    for name in ("dense", "half"):
        assert run(["submission", "new", name, "--id", name, *PEOPLE]) == 0
    assert run(["submission", "check", f"{HOME}/dense", f"{HOME}/half"]) == 0, capsys.readouterr().out
    files = site(place)
    assert (sorted(listed(files[L0])), listed(files[LINF])) == (["dense", "half"], ["half"])
    page = files["entries/digits-smoke-v1/half/index.html"].decode()
    against = re.search(r'<section id="parent">.*?</section>', page, re.DOTALL)[0]
    assert re.findall(r'<th scope="row">([^<]+)</th>', against) == ["clean", "L0 2 pixels"]
    family = re.search(r'<section id="family">.*?</section>', page, re.DOTALL)[0]
    assert family.count("not measured") == 1

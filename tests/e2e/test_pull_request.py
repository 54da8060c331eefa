"""A stranger's pull request from the fork to a rank, with plain git and the command that the workflow runs."""

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import date
from fractions import Fraction

import numpy as np
import pytest

from bench.cli.main import run
from bench.site.entries import read
from bench.submission.files import read_result
from bench.submission.points import read_points
from bench.submission.standing import best_known
from bench.submission.verification import verdicts
from bench.submission.verifiers import sign
from bench.threats import Norm
from tests.support.builders import write
from tests.support.repository import forked, git, merged, started
from tests.support.signers import KEY, LOST, OLD, STRANGER, lay, record, verify


@pytest.fixture
def project(tmp_path):
    """Return a repository with one published entry."""
    place = tmp_path / "project"
    write(place / "submissions", id="resident")
    (place / "README.md").write_text("A board.\n", "utf-8")
    return started(place)


@pytest.fixture
def fork(project, tmp_path):
    return forked(project, tmp_path / "fork")


def pull(tree, capsys):
    code = run(["submission", "pull", str(tree)])
    return code, capsys.readouterr().out


def test_a_pull_request_from_the_fork_to_a_rank(project, fork, tmp_path, capsys):
    write(fork / "submissions", id="newcomer", level=None, recipe="magnitude-global", sparsity=Fraction(1, 2))
    tree = merged(project, fork, tmp_path)
    assert pull(tree, capsys) == (0, "")
    git(project, "pull", "-q", str(tree), "HEAD")
    assert run(["site", "build", "--submissions", str(project / "submissions"), "--out", str(tmp_path / "site")]) == 0
    shown = {
        entry["id"]: entry for entry in json.loads((tmp_path / "site/data/entries.json").read_text("utf-8"))["entries"]
    }
    assert shown["newcomer"]["level"] == "self-reported"
    assert "nobody else has measured it yet" in shown["newcomer"]["unranked"]
    git(fork, "fetch", "-q", "origin")
    git(fork, "reset", "-q", "--hard", "origin/HEAD")
    verify(fork / "submissions/digits-v1/newcomer", "re-run", date(2026, 3, 5))
    tree = merged(project, fork, tmp_path)
    assert pull(tree, capsys) == (0, "")
    catalogue = read(tree / "submissions")
    assert {entry.id: catalogue.unranked(entry) for entry in catalogue if not entry.dense} == {"newcomer": None}


def newcomer(fork):
    return write(fork / "submissions", id="newcomer", level=None, parent="new")


def date_back(fork):
    """Sign with a key that was retired, as of a day when it was not."""
    folder = write(fork / "submissions", id="newcomer", level=None, parent="new", day=date(2026, 2, 1))
    verify(folder, "re-run", date(2026, 2, 5), key=OLD, by=LOST)


def forge(fork):
    verify(newcomer(fork), "re-run", date(2026, 3, 5), key=STRANGER)


def code(fork):
    newcomer(fork)
    (fork / "bench.py").write_text("print('mine')\n", "utf-8")


def workflow(fork):
    newcomer(fork)
    (fork / ".github").mkdir()
    (fork / ".github/verifiers.toml").write_text("verifiers = []\n", "utf-8")


def two(fork):
    newcomer(fork)
    write(fork / "submissions", id="second", level=None, parent="second")


def rewrite(fork):
    path = fork / "submissions/digits-v1/resident/submission.toml"
    path.write_text(path.read_text("utf-8").replace("synthetic", "better"), "utf-8")


def delete(fork):
    (fork / "submissions/digits-v1/resident/verification.json").unlink()


def add(fork):
    shutil.copy(fork / "README.md", fork / "submissions/digits-v1/resident/README.md")


def nothing(fork):
    (fork / "submissions/note.txt").write_text("x\n", "utf-8")


def move(fork):
    git(fork, "mv", "submissions/digits-v1/resident", "submissions/digits-v1/mine")


def link(fork):
    (fork / "submissions/digits-v1/linked").symlink_to("resident")


def deeper(fork):
    newcomer(fork)
    (fork / "submissions/digits-v1/newcomer/more").mkdir()
    (fork / "submissions/digits-v1/newcomer/more/x.py").write_text("1\n", "utf-8")


HOSTILE = {
    forge: "signature is not that of", date_back: "who signs no more",
    code: "'bench.py' is changed", workflow: "'.github/verifiers.toml' is changed",
    two: "2 entries are touched", rewrite: "published files stay as they are", delete: "is deleted",
    add: "is added to an entry that is published", nothing: "'submissions/note.txt' is changed",
    move: "is deleted", link: "'submissions/digits-v1/linked' is changed", deeper: "more/x.py' is changed",
}  # fmt: skip


@pytest.mark.parametrize("change", HOSTILE, ids=lambda change: change.__name__)
def test_a_pull_request_brings_one_new_folder_and_nothing_else(project, fork, tmp_path, capsys, change):
    change(fork)
    exit_code, told = pull(merged(project, fork, tmp_path), capsys)
    assert exit_code == 3
    assert HOSTILE[change] in told


def lowered(folder, day, *ids):
    """Verify an entry of which points fell under Linf."""
    found = record(folder, "re-run", day)
    points = read_points(folder / "points.npz")
    order, stands = np.sort(points.id), best_known(read_result(folder / "result.json"), points)[Norm.LINF].points
    stands = stands[points.id.argsort()] & ~np.isin(order, ids)
    first = {"best_known": int(stands.sum()), "verdicts_sha256": verdicts(stands), "fallen": ids}
    threats = (found.threats[0].model_copy(update=first), *found.threats[1:])
    lay(folder, sign(found.model_copy(update={"threats": threats}), KEY))


def test_no_verification_gives_way_to_an_older_one_or_to_one_that_knows_less(project, fork, tmp_path, capsys):
    folder = project / "submissions/digits-v1/resident"
    points = read_points(folder / "points.npz")
    stands = best_known(read_result(folder / "result.json"), points)[Norm.LINF].points
    first, second = sorted(points.id[stands].tolist())[:2]
    lowered(folder, date(2026, 3, 5), first)
    git(project, "commit", "-qam", "lowered")
    git(fork, "pull", "-q", "--rebase", "origin", "main")
    mine = fork / "submissions/digits-v1/resident"
    for day, ids, told in (
        (date(2026, 3, 4), (first,), "is replaced by one of 2026-03-04, signed before that of 2026-03-05, which stays"),
        (date(2026, 3, 6), (second,), f"no longer names points that fell ({first}); a new run makes no witness undone"),
        (date(2026, 3, 6), (first, second), ""),
    ):
        lowered(mine, day, *ids)
        code, said = pull(merged(project, fork, tmp_path), capsys)
        assert code == (3 if told else 0)
        assert told in said


def test_who_speaks_for_others_is_told(project, fork, tmp_path, capsys):
    write(fork / "submissions", id="newcomer", level=None, supersedes="resident")
    assert run(["submission", "pull", str(merged(project, fork, tmp_path))]) == 0
    told = capsys.readouterr().err
    assert "It speaks for A. Author, B. Author and replaces 'resident'; whoever merges it sees that they hand" in told


def test_what_was_merged_meanwhile_is_not_the_stranger_s(project, fork, tmp_path, capsys):
    newcomer(fork)
    (project / "README.md").write_text("A better board.\n", "utf-8")
    git(project, "commit", "-qam", "meanwhile")
    assert pull(merged(project, fork, tmp_path), capsys) == (0, "")


def test_no_commit_and_no_checkout_is_said(tmp_path, project, capsys):
    assert run(["submission", "pull", str(project)]) == 3  # it has one commit
    assert "does not tell what it changes since HEAD^1" in capsys.readouterr().err
    assert run(["submission", "pull", str(project), "--before", "--output=x"]) == 3
    assert "names no commit" in capsys.readouterr().err


def test_the_script_of_the_workflow_lets_no_line_be_a_command_and_runs_nothing_of_the_pull(
    project, fork, tmp_path, root
):
    folder = newcomer(fork)
    (folder / "::set-output name=x::y").write_text("x", "utf-8")
    (fork / "bench").mkdir()
    (fork / "bench/__init__.py").write_text("raise SystemExit('the code of the pull request ran')\n", "utf-8")
    merged(project, fork, tmp_path)
    summary, programs = tmp_path / "summary.md", tmp_path / "bin"
    programs.mkdir()
    (programs / "bench").write_text(f'#!/bin/sh\nexec {sys.executable} -P -m bench "$@"\n', "utf-8")
    (programs / "bench").chmod(0o755)
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(root)}
    done = subprocess.run(
        [str(root / ".ci" / "submission"), "pull", str(summary)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    first, last = done.stdout.splitlines()[0], done.stdout.splitlines()[-1]
    token = re.fullmatch(r"::stop-commands::([0-9a-f]{32})", first)[1]
    assert last == f"::{token}::"
    assert "'bench/__init__.py' is changed" in done.stdout
    assert "the code of the pull request ran" not in done.stdout
    assert "Problems were found" in summary.read_text("utf-8")

"""A run becomes a submission that the check finds nothing wrong with."""

import shutil

import pytest

from bench.cli.main import run
from bench.submission.check import problems
from bench.submission.files import read_submission
from tests.support.builders import write

WORDS = ["--author", 'A. "Quoted" Person', "--licence", "MIT", "--date", "2026-02-03"]


@pytest.fixture
def finished(tmp_path):
    """Return the folder of a standard run, as the measuring half leaves it."""
    folder = shutil.copytree(write(tmp_path / "made", witnesses=True), tmp_path / "runs" / "my-run")
    (folder / "submission.toml").unlink()
    (folder / "verification.json").unlink()
    return folder


def test_a_run_becomes_a_submission_without_a_problem(finished, tmp_path, capsys):
    assert run(["submission", "new", str(finished), *WORDS, "--submissions", str(tmp_path / "s")]) == 0
    folder = tmp_path / "s" / "digits-v1" / "my-run"
    assert problems(folder) == []
    assert read_submission(folder / "submission.toml").authors == ('A. "Quoted" Person',)
    assert "check it" in capsys.readouterr().err


def test_what_is_published_does_not_change(finished, tmp_path, capsys):
    words = ["submission", "new", str(finished), *WORDS, "--submissions", str(tmp_path / "s")]
    assert run(words) == 0
    assert run(words) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_bad_id_is_named(finished, tmp_path, capsys):
    assert run(["submission", "new", str(finished), *WORDS, "--id", "No Spaces", "--submissions", str(tmp_path)]) == 2
    assert "id: String should match" in capsys.readouterr().err


def test_a_run_that_deviates_cannot_be_submitted(finished, tmp_path, capsys):
    path = finished / "result.json"
    changed = path.read_text().replace('"standard": true', '"standard": false')
    path.write_text(changed.replace('"deviations": []', '"deviations": ["seed 1 instead of 0"]'))
    assert run(["submission", "new", str(finished), *WORDS, "--submissions", str(tmp_path / "s")]) == 3
    assert "seed 1 instead of 0" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()

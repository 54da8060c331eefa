"""A run becomes a submission that the check finds nothing wrong with."""

import shutil

import pytest

from bench.cli.main import run
from bench.submission.check import problems
from bench.submission.files import read_submission
from tests.support.builders import write
from tests.support.carrying import SMALL, carry

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


@pytest.fixture
def own(finished):
    """Return the folder of a run on a file of one's own, and that file."""
    file = finished.parent / "mine.safetensors"
    file.write_bytes(SMALL)
    (finished / "submission.toml").write_text("", "utf-8")
    (carry(finished) / "weights.safetensors").unlink()
    (finished / "submission.toml").unlink()
    return finished, file


def test_a_small_file_goes_into_the_folder(own, tmp_path):
    run_of, file = own
    words = ["submission", "new", str(run_of), *WORDS, "--submissions", str(tmp_path / "s"), "--weights", str(file)]
    assert run(words) == 0
    folder = tmp_path / "s" / "digits-v1" / "my-run"
    assert (folder / "weights.safetensors").read_bytes() == SMALL
    assert problems(folder) == []


HUB = f"https://huggingface.co/stranger/mine/resolve/{'0a' * 20}/mine.safetensors"


def test_a_file_lies_at_an_address(own, tmp_path):
    words = ["submission", "new", str(own[0]), *WORDS, "--submissions", str(tmp_path / "s"), "--locator", HUB]
    assert run(words) == 0
    assert problems(tmp_path / "s" / "digits-v1" / "my-run") == []


@pytest.mark.parametrize(
    ("words", "content", "code", "says"),
    [
        ([], SMALL, 2, "One of at most 1,048,576 bytes may be handed in itself, with --weights FILE"),
        (["--weights", "mine.safetensors"], SMALL + b"x", 4, "mine.safetensors has sha256"),
        (["--weights", "mine.safetensors"], bytes(2**20 + 1), 3, "at most 1048576 are read"),
        (["--weights", "mine.safetensors", "--locator", HUB], SMALL, 2, "name one"),
    ],
)
def test_no_other_file_goes_into_the_folder(own, tmp_path, monkeypatch, capsys, words, content, code, says):
    run_of, file = own
    file.write_bytes(content)
    monkeypatch.chdir(file.parent)
    assert run(["submission", "new", str(run_of), *WORDS, "--submissions", str(tmp_path / "s"), *words]) == code
    assert says in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_a_network_that_is_no_file_has_none_in_its_folder(finished, tmp_path, capsys):
    file = tmp_path / "mine.safetensors"
    file.write_bytes(SMALL)
    words = ["submission", "new", str(finished), *WORDS, "--submissions", str(tmp_path / "s"), "--weights", str(file)]
    assert run(words) == 2
    assert "is no file of weights; leave out --weights" in capsys.readouterr().err

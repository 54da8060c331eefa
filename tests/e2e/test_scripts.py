"""The scripts of the workflows, with stand-ins for the programs that they call."""

import json
import os
import subprocess

import pytest

from tests.support.repository import git, started

PINNED = "https://huggingface.co/{}/resolve/0000000000000000000000000000000000000000/w.safetensors"


def program(folder, name, text):
    """Put a program of one's own into a folder, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    (folder / name).chmod(0o755)
    return folder


def call(script, place, *words, **more):
    return subprocess.run(
        [str(script), *words], cwd=place, env=os.environ | more, capture_output=True, text=True, check=False
    )


@pytest.fixture
def entries(tmp_path):
    """Return a project with two entries whose weights are pinned and one that is rebuilt."""
    for name, locator in {
        "here": PINNED.format("a/here"),
        "gone": PINNED.format("a/gone"),
        "made": "embedded:x",
    }.items():
        folder = tmp_path / "project/submissions/digits-v1" / name
        folder.mkdir(parents=True)
        (folder / "submission.toml").write_text(f'[weights]\nlocator = "{locator}"\n', "utf-8")
    return tmp_path / "project"


def test_every_pinned_file_is_asked_for_and_those_that_are_gone_are_named(entries, root, tmp_path):
    curl = program(tmp_path / "bin", "curl", f'echo "$@" >>{tmp_path}/asked\ncase "$*" in *gone*) exit 22;; esac')
    path = f"{curl}:{os.environ['PATH']}"
    done = call(root / ".ci/links", entries, "submissions", PATH=path)
    assert done.returncode == 1
    assert done.stdout == f"submissions/digits-v1/gone/submission.toml: {PINNED.format('a/gone')} is gone\n"
    asked = (tmp_path / "asked").read_text("utf-8").splitlines()
    assert len(asked) == 2
    assert all("--head" in words and "--proto =https" in words for words in asked)
    (entries / "submissions/digits-v1/gone/submission.toml").unlink()
    assert call(root / ".ci/links", entries, "submissions", PATH=path).returncode == 0


@pytest.mark.parametrize(
    "entry", ["", "here", "../project/submissions", "digits-v1/none", "digits-v1/here; true", "-x/y"]
)
def test_only_a_published_entry_is_measured_again(entries, root, tmp_path, entry):
    program(entries / ".venv/bin", "bench", "touch ran")
    done = call(root / ".ci/review", entries, entry, str(tmp_path / "summary"), BENCH_VERIFIER_KEY="key.pem")
    assert done.returncode == 2
    assert not (entries / "ran").exists()


@pytest.mark.parametrize("code", [0, 5])
def test_what_was_signed_is_shown_and_no_line_of_it_is_a_command(entries, root, tmp_path, code):
    started(entries)
    signs = "echo '{}' >submissions/digits-v1/here/verification.json"
    program(entries / ".venv/bin", "bench", f"{signs}\necho '::add-mask::x'\necho \"$@\" >{tmp_path}/said\nexit {code}")
    summary = tmp_path / "summary"
    done = call(root / ".ci/review", entries, "digits-v1/here", str(summary), BENCH_VERIFIER_KEY="key.pem")
    assert done.returncode == code
    assert (tmp_path / "said").read_text("utf-8") == "review submissions/digits-v1/here --level re-run --key key.pem\n"
    first, *_, last = done.stdout.splitlines()
    assert first.startswith("::stop-commands::")
    assert last == f"::{first.removeprefix('::stop-commands::')}::"
    assert "commit this as submissions/digits-v1/here/verification.json:\n\n    {}" in summary.read_text("utf-8")


def test_no_key_means_no_run(entries, root, tmp_path):
    program(entries / ".venv/bin", "bench", "touch ran")
    done = call(root / ".ci/review", entries, "digits-v1/here", str(tmp_path / "summary"))
    assert done.returncode != 0
    assert not (entries / "ran").exists()


@pytest.mark.parametrize("code", [0, 5])
def test_what_a_pull_request_adds_is_recomputed_by_kind_and_nothing_else_is(entries, root, tmp_path, code):
    started(entries)
    added = {
        "new": "submission.toml",
        "here": "challenge-deep.npz",
        "gone": "withdrawal.toml",
        "$(x)": "submission.toml",
    }
    for name, file in added.items():
        folder = entries / "submissions/digits-v1" / name
        folder.mkdir(exist_ok=True)
        (folder / file).write_text("x", "utf-8")
        data = "cifar10" if name == "new" else "digits"
        (folder / "result.json").write_text(json.dumps({"data": {"name": data}}), "utf-8")
    git(entries, "add", "-A")
    git(entries, "commit", "-qm", "theirs")
    programs = program(tmp_path / "bin", "bench", f'pwd >>{tmp_path}/said; echo "$@" >>{tmp_path}/said; exit {code}')
    done = call(
        root / ".ci/checked", entries.parent, "project", "abc", str(tmp_path / "summary"),
        PATH=f"{programs}:{os.environ['PATH']}",
    )  # fmt: skip
    assert done.returncode == code
    place = entries / "submissions/digits-v1"
    assert (tmp_path / "said").read_text("utf-8").splitlines() == [
        "/", f"challenge check {place}/here/challenge-deep.npz",
        "/", "data fetch cifar10", "/", f"review {place}/new --seed abc",
    ]  # fmt: skip

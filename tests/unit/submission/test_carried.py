"""A small file of weights may lie in the folder of its entry, and is then what was measured and nothing else."""

import json
import os

import pytest

from bench.cli.main import run
from bench.submission.check import problems
from bench.submission.files import WEIGHTS_BYTES, canonical, sha256
from tests.support.builders import write
from tests.support.carrying import SMALL, carry, packed


@pytest.fixture
def folder(tmp_path):
    return carry(write(tmp_path))


def test_an_entry_that_carries_its_weights_has_no_problem(folder):
    assert problems(folder) == []


def grown(size):
    return packed({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}, bytes(size))


def test_the_largest_file_passes_and_one_byte_more_does_not(tmp_path):
    room = WEIGHTS_BYTES - len(grown(1_048_000)) + 1_048_000
    assert len(grown(room)) == WEIGHTS_BYTES
    assert problems(carry(write(tmp_path / "most"), grown(room))) == []
    (told,) = problems(carry(write(tmp_path / "more"), grown(room + 1)))
    assert told == "weights.safetensors has 1048577 bytes; at most 1048576 are read."


def other(folder):
    (folder / "weights.safetensors").write_bytes(SMALL[:-1] + b"x")


def gone(folder):
    (folder / "weights.safetensors").unlink()


def linked(folder):
    gone(folder)
    (folder / "weights.safetensors").symlink_to("/etc/passwd")


def waiting(folder):
    gone(folder)
    os.mkfifo(folder / "weights.safetensors")


def reworded(old, new):
    def change(folder):
        path = folder / "submission.toml"
        path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")

    return change


def remeasured(**model):
    def change(folder):
        result = json.loads((folder / "result.json").read_text("utf-8"))
        result["model"] |= model
        (folder / "result.json").write_bytes(canonical(result))

    return change


def tensors(folder):
    digest = json.loads((folder / "result.json").read_text("utf-8"))["model"]["weights_sha256"]
    reworded(sha256(SMALL), digest)(folder)


HUB = f"https://huggingface.co/a/b/resolve/{'0a' * 20}/w.safetensors"
WRONG = {
    "another file": (other, f"expected {sha256(SMALL)}"),
    "no file": (gone, "weights.safetensors is missing"),
    "a link": (linked, "weights.safetensors is a symbolic link"),
    "a pipe": (waiting, "weights.safetensors is a named pipe"),
    "another place in words": (reworded('"weights.safetensors"', f'"{HUB}"'), "but weights.safetensors lies here"),
    "a name of one's own": (reworded('"weights.safetensors"', '"mine.safetensors"'), "is no place of weights"),
    "a network that is no file": (
        remeasured(ref="embedded:small", file_sha256=None, normalisation=None),
        "model.file_sha256 is null, so no file of weights was measured",
    ),
    "the digest of the tensors": (tensors, "expected that of weights.safetensors"),
    "a record whose file lies elsewhere": (remeasured(ref="../mine.safetensors"), "no network that others can load"),
    "a record whose file is an option": (remeasured(ref="-rf.safetensors"), "no network that others can load"),
    "a parent that lies elsewhere": (remeasured(parent="/etc/p.safetensors"), "no network that others can load"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_is_not_the_file_that_was_measured_is_refused(folder, what, capsys):
    change, expected = WRONG[what]
    change(folder)
    found = problems(folder)
    assert any(expected in problem for problem in found), found
    assert run(["submission", "check", str(folder)]) == 3

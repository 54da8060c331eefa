"""What the page of budgets tells a reader to run gives the network that was measured."""

import shlex
import subprocess
from pathlib import Path

import pytest

import bench
from bench.cli.main import run
from bench.models.source import state_digest
from bench.site.choice import candidates
from bench.site.entries import read
from bench.site.obtain import obtain

SUBMISSIONS = Path(__file__).resolve().parent.parent.parent / "submissions"
ENTRIES = [
    "digits-tiny-linf--dense",
    "digits-tiny-linf--magnitude-global-50",
    "digits-cnn-linf--l2-inner-50",
    "digits-cnn-linf--magnitude-global-90--ft-adv",
]


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    """Read some real entries, as nobody signed them here."""
    root = tmp_path_factory.mktemp("submissions")
    (root / "digits-v1").mkdir()
    for name in {*ENTRIES, "digits-cnn-linf--dense"}:
        there = root / "digits-v1" / name
        there.mkdir()
        for path in (SUBMISSIONS / "digits-v1" / name).iterdir():
            if path.name != "verification.json" and not path.name.startswith("challenge"):
                (there / path.name).write_bytes(path.read_bytes())
    catalogue = read(root)
    return {entry.id: entry for entry in candidates(catalogue, catalogue.protocols[0])}


@pytest.mark.parametrize("name", ENTRIES)
def test_the_commands_and_the_line_give_the_network_that_was_measured(entries, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "submissions").symlink_to(SUBMISSIONS)
    way, result = obtain(entries[name]), entries[name].result
    for line in way.commands.splitlines():
        words = shlex.split(line)
        if words[0] == "bench":
            assert run(words[1:]) == 0
        else:
            subprocess.run(line, shell=True, check=True, capture_output=True)
    told = {}
    exec(way.python, told)
    assert told["bench"] is bench
    assert state_digest(told["network"]) == result.model.weights_sha256
    weights = sum(int((tensor != 0).sum()) for tensor in told["network"].parameters())
    assert weights == result.pruning.nonzero


def test_a_digest_that_was_not_measured_is_told(entries, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    *_, check = obtain(entries["digits-tiny-linf--magnitude-global-50"]).commands.splitlines()
    other = ["--model", "embedded:digits-tiny-linf", "--recipe", "magnitude-global", "--sparsity", "0.51"]
    assert run(["prune", *other, "--out", "digits-tiny-linf--magnitude-global-50"]) == 0
    assert subprocess.run(check, shell=True, check=False, capture_output=True).returncode == 1

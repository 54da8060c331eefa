"""An entry from the pull request to its end: merged, run again and ranked, lowered by a challenge, withdrawn."""

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

import bench
from bench.cli.main import run
from bench.data.dataset import DATASETS
from bench.evaluation.checks import probe
from bench.evaluation.conduct import run as carried
from bench.evaluation.conduct import scenarios
from bench.evaluation.review import replay
from bench.evaluation.search.cascade import Cascade
from bench.site.entries import read
from bench.submission.files import dump, read_result
from bench.submission.points import read_points
from bench.threats import Norm
from tests.support.repository import forked, git, merged, started
from tests.support.signers import KEY, NAME, STRANGER

PLACE = "submissions/digits-smoke-v1/newcomer"
PRUNED = ["--recipe", "magnitude-global", "--sparsity", "0.5"]


@pytest.fixture
def at_work(tmp_path, monkeypatch):
    """Work in a folder of its own, with code that counts as committed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bench.evaluation.environment.code_is_dirty", lambda: False)
    return tmp_path


def submitted(place, run_of, *words):
    """Make an entry's folder of a run."""
    root = str(place / "submissions")
    assert run(["submission", "new", str(run_of), "--licence", "MIT", "--submissions", root, *words]) == 0


def measured(name, *words):
    out = f"runs/digits-smoke-v1/{name}"
    spoken = ["evaluate", "--model", "embedded:digits-tiny-linf", "--protocol", "digits-smoke-v1", "--out", out]
    assert run([*spoken, *words]) == 0
    return out


def accepted(project, fork, tmp_path, capsys):
    """Check the fork as a pull request, merge it, and return the entry as the board has it."""
    tree = merged(project, fork, tmp_path)
    capsys.readouterr()
    assert (run(["submission", "pull", str(tree)]), capsys.readouterr().out) == (0, "")
    git(project, "pull", "-q", str(tree), "HEAD")
    git(fork, "fetch", "-q", "origin")
    git(fork, "reset", "-q", "--hard", "origin/HEAD")
    catalogue = read(project / "submissions")
    return catalogue, next(entry for entry in catalogue if entry.id == "newcomer")


@pytest.fixture
def overlooked(root):
    """Return what attacks with the whole budget find on the same network at the point that barely falls."""
    points = read_points(root / "submissions/digits-v1/digits-tiny-linf--magnitude-global-50/points.npz")
    far = points.distance[Norm.LINF][:50]
    at = [int(np.where(far <= 0.1, far, 0.0).argmax())]
    data = DATASETS["digits"].load("test", at)
    pruned = bench.prune(bench.load("embedded:digits-tiny-linf"), "magnitude-global", 0.5, example=data.images())
    problem = pruned.network, data.images(), data.label_tensor()
    found = bench.attack(*problem, norm="Linf", epsilon="1/10", protocol="digits-v1", ids=torch.tensor(at))
    assert not found.robust.any()
    return {"id": points.id[at], "image": found.images.numpy(), "clean": data.images().numpy()}


@pytest.fixture
def blind(monkeypatch, overlooked):
    """Let every attack within the ball overlook this point; of more the reliability checks would notice."""

    class Blind(Cascade):
        def _propose(self, step, *given):
            found = super()._propose(step, *given)
            if (step.threat.norm, step.threat.epsilon) != (Norm.LINF, Fraction(1, 10)):
                return found
            keep = ~np.isin(found.ids, overlooked["id"])
            return replace(found, ids=found.ids[keep], images=found.images[keep], rounds=found.rounds[keep])

    for module in (carried, scenarios, probe, replay):  # the check that holds attacks to an anchor would notice
        monkeypatch.setattr(module, "Cascade", Blind)


@pytest.mark.usefixtures("blind")
def test_an_entry_is_merged_ranked_lowered_and_withdrawn(at_work, overlooked, capsys):
    project, fork = at_work / "project", at_work / "fork"
    submitted(project, measured("dense"), "--id", "dense", "--author", "The Team")
    started(project)
    forked(project, fork)
    run_of = measured("pruned", *PRUNED)
    submitted(fork, run_of, "--id", "newcomer", "--author", "A. Stranger", "--parent", "dense")
    catalogue, entry = accepted(project, fork, at_work, capsys)
    assert catalogue.unranked(entry) == "self-reported: nobody else has measured it yet"
    assert catalogue.parents[entry].id == "dense"

    signs_a_run_of_its_own(fork, capsys)
    catalogue, entry = accepted(project, fork, at_work, capsys)
    assert catalogue.unranked(entry) is None
    board = next(board for board in catalogue.boards if board.norm is Norm.L0)
    assert str(board.places[entry]) == "1"

    lowers_it(fork, overlooked, capsys)
    before = {norm: entry.survivors(norm) for norm in entry.robust}
    catalogue, entry = accepted(project, fork, at_work, capsys)
    after = {norm: entry.survivors(norm) for norm in entry.robust}
    (challenge,) = entry.challenges
    assert {norm: before[norm] - after[norm] for norm in before} == {
        norm: len(challenge.fallen(norm)) for norm in before
    }
    assert sum(after.values()) < sum(before.values())
    assert catalogue.unranked(entry) is None

    withdraw = ["submission", "withdraw", str(fork / PLACE), "--reason", "The weights were the wrong ones."]
    assert run([*withdraw, "--by", "Somebody Else"]) == 3
    assert run([*withdraw, "--by", "A. Stranger"]) == 0
    catalogue, entry = accepted(project, fork, at_work, capsys)
    assert catalogue.unranked(entry).startswith("withdrawn by A. Stranger on 20")
    assert not any(entry in board.places for board in catalogue.boards)
    tells_what_happened(project, at_work)


def signs_a_run_of_its_own(fork, capsys):
    """Review the entry: by a key that nobody lists, then by one that is."""
    again = ["review", str(fork / PLACE), "--level", "re-run", "--seed", "a commit"]
    assert run([*again, "--key", str(STRANGER)]) == 3
    assert "no listed verifier's" in capsys.readouterr().err
    assert run([*again, "--key", str(KEY)]) == 0
    told = capsys.readouterr().out
    assert "disagrees" not in told
    assert "Linf robust, best known" in told
    signed = json.loads((fork / PLACE / "verification.json").read_text("utf-8"))
    assert (signed["by"], signed["level"]) == (NAME, "re-run")
    assert not any(threat.get("fallen") or threat.get("stood") for threat in signed["threats"])


def lowers_it(fork, overlooked, capsys):
    """Challenge the entry by what all attacks on it have overlooked."""
    np.savez("found.npz", id=overlooked["id"], image=overlooked["image"])
    np.savez("nothing.npz", id=overlooked["id"], image=overlooked["clean"])
    new = ["challenge", "new", str(fork / PLACE)]
    assert run([*new, "nothing.npz", "--name", "idle"]) == 5
    assert run([*new, "found.npz", "--name", "Not A Name"]) == 2
    assert run([*new, "found.npz", "--name", "deeper"]) == 0
    file = fork / PLACE / "challenge-deeper.npz"
    assert set(np.load(file)["id"].tolist()) <= set(overlooked["id"].tolist())
    assert run(["submission", "check", str(fork / PLACE)]) == 0  # it waits, and counts for nothing
    assert run(["challenge", "check", str(file), "--key", str(STRANGER)]) == 3
    assert run(["challenge", "check", str(file), "--key", str(KEY)]) == 0
    assert run(["challenge", "check", str(file)]) == 5  # nothing is left to fall
    capsys.readouterr()


def tells_what_happened(project, at_work):
    """Build the site and look for every step of the entry's life."""
    assert run(["site", "build", "--submissions", str(project / "submissions"), "--out", str(at_work / "site")]) == 0
    page = (at_work / "site/entries/digits-smoke-v1/newcomer/index.html").read_text("utf-8")
    for words in (
        f"Verified as re-run by {NAME}.", f"Lowered by the challenge deeper, confirmed by {NAME}.",
        "Withdrawn by A. Stranger.", "The weights were the wrong ones.", 'href="challenge-deeper.json"',
        'href="withdrawal.toml"',
    ):  # fmt: skip
        assert words in page
    feed = (at_work / "site/changes.html").read_text("utf-8")
    assert "Withdrawn by A. Stranger:" in feed
    assert "Lowered by the challenge deeper" in feed


def test_a_review_of_an_invented_entry_ends_with_code_5_and_signs_nothing(at_work, root, capsys):
    folder = at_work / "submissions/digits-v1/tiny"
    folder.mkdir(parents=True)
    for path in (root / "submissions/digits-v1/digits-tiny-linf--dense").iterdir():
        if path.name != "verification.json":
            (folder / path.name).write_bytes(path.read_bytes())
    toml = folder / "submission.toml"
    toml.write_text(toml.read_text("utf-8").replace("digits-tiny-linf--dense", "tiny"), "utf-8")
    result = read_result(folder / "result.json")
    pruning = result.pruning.model_copy(update={"connected": result.pruning.connected - 1})
    (folder / "result.json").write_bytes(dump(result.model_copy(update={"pruning": pruning})))
    assert run(["review", str(folder), "--key", str(KEY), "--seed", "words", "--json"]) == 5
    told = json.loads(capsys.readouterr().out)
    assert [row["what"] for row in told["rows"] if row["verdict"] == "disagrees"] == ["connected"]
    assert told["signed"] is False
    assert not (folder / "verification.json").exists()

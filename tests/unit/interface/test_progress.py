"""A bar where somebody looks at it, words for people, and silence for programs."""

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import nn

import bench
from bench.evaluation.plan.plan import Request, plan
from bench.interface import progress
from bench.models.source import ModelRef
from bench.protocol.load import load as rules
from bench.threats import Norm
from tests.support.linear import linear_problem

# of the rehearsal, under Linf: apgd-ce 1 round, apgd-t and fab-t one for each of 9 targets, square 1, fmn 1
ROUNDS = 21
ROOT = Path(__file__).resolve().parents[3]
WORDS = {"norm": "Linf", "epsilon": "1/20", "protocol": "digits-smoke-v1"}


def settled(**words):
    return plan(Request(ModelRef.parse("embedded:digits-tiny-linf"), rules("digits-smoke-v1"), points=(0, 4), **words))


@pytest.fixture
def terminal(monkeypatch):
    """Let standard error pass for a terminal."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TTY_INTERACTIVE", "1")
    monkeypatch.delenv("CI", raising=False)


def test_rounds_add_up_over_attacks_and_never_fall():
    seen = []
    rounds = progress.Rounds(lambda *shown: seen.append(shown))
    asked = settled(norms=(Norm.LINF,))
    rounds.begin("mine", asked.steps, asked.classes)
    rounds.watch("Linf 1/10", "apgd-ce", 0, 1, 4)
    rounds.watch("Linf 1/10", "apgd-t", 0, 9, 3)
    rounds.watch("Linf 1/10", "apgd-t", 8, 9, 3)
    rounds.watch("Linf 1/10", "square", 0, 1, 2)
    rounds.watch("Linf 1/10", "fmn", 0, 1, 2)
    rounds.watch("Linf 1/10", "square", 0, 1, 4)  # once more, alone, for the scenario
    rounds.stage("checking what was found")
    assert [done for _, done, _ in seen] == [0, 0, 1, 9, 19, 20, 20, 20]
    assert seen[-1][0] == "mine: checking what was found"
    assert {total for *_, total in seen} == {ROUNDS}
    assert seen[3][0] == "mine: Linf 1/10 apgd-t 9/9, 3 standing"
    rounds.begin("parent", asked.steps[:1], asked.classes)
    assert seen[-1] == ("parent: loading", 0, 1)


def test_a_bar_moves_on_a_terminal_and_is_gone_at_the_end(terminal, capsys):
    with progress.bar() as show:
        show("[red]mine[/red]\x1b[2J", 3, 7)
    told = capsys.readouterr().err
    assert "[red]mine[/red]\\x1b[2J" in told
    assert "3/7" in told
    assert told.endswith("\x1b[2K")


def test_no_bar_is_drawn_for_a_pipe(capsys):
    with progress.bar() as show:
        show("mine", 3, 7)
    assert not any(capsys.readouterr())


def test_no_bar_is_drawn_in_ci(terminal, monkeypatch, capsys):
    monkeypatch.setenv("CI", "true")
    with progress.bar() as show:
        show("mine", 3, 7)
    assert "mine" not in "".join(capsys.readouterr())


def test_an_attack_shows_a_bar_unless_it_is_turned_off(terminal, capsys):
    problem = linear_problem(points=4, shape=(1, 8, 8))
    found = bench.attack(*problem, **WORDS)
    told = "".join(capsys.readouterr())
    assert "LinearClassifier: Linf 1/20 fmn 1/1" in told
    assert f"20/{ROUNDS}" in told
    silent = bench.attack(*problem, **WORDS, progress=False)
    assert not any(capsys.readouterr())
    assert torch.equal(found.distances, silent.distances)


def test_the_bar_says_what_is_at_work_where_no_attack_is(monkeypatch, tmp_path):
    seen = []

    @contextmanager
    def bar():
        yield lambda *shown: seen.append(shown)

    monkeypatch.setattr(progress, "bar", bar)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    bench.evaluate(network, protocol="digits-smoke-v1", points=2, threats="Linf", out=tmp_path / "run")
    words = [says.partition(": ")[2] for says, *_ in seen]
    order = ["checking the network", "Linf 1/10 apgd-ce 1/1, ", "Linf 1/10 fmn 1/1, ", "other scenarios",
             "checking what was found"]  # fmt: skip
    places = [next(place for place, says in enumerate(words) if says.startswith(start)) for start in order]
    assert places == sorted(places)
    done = [count for _, count, _ in seen]
    assert done == sorted(done)


def test_a_callable_hears_of_every_round_in_place_of_a_bar(terminal, capsys):
    heard = []
    found = bench.attack(
        *linear_problem(points=4, shape=(1, 8, 8)), **WORDS, progress=lambda *round_: heard.append(round_)
    )
    assert not any(capsys.readouterr())
    assert {threat for threat, *_ in heard} == {"Linf 1/20"}
    assert list(dict.fromkeys(attack for _, attack, *_ in heard)) == ["apgd-ce", "apgd-t", "fab-t", "square", "fmn"]
    standing = [count for *_, count in heard]
    assert standing == sorted(standing, reverse=True)
    assert standing[-1] >= int(found.robust.sum())
    assert all(0 <= done < rounds for _, _, done, rounds, _ in heard)


@pytest.mark.parametrize("wrong", ["'yes'", "3", "[]"])
def test_anything_else_is_refused_before_any_attack(wrong):
    # where nothing checks types at run time
    code = f"from bench.interface.progress import watching\nwith watching('x', [], 10, {wrong}): print('attacked')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert "UsageError: progress should be True for a bar, False for none, or a callable" in done.stderr
    assert "attacked" not in done.stdout


def test_what_a_parent_costs_is_said_unless_words_are_not_wanted(tmp_path, capsys):
    words = {"recipe": "magnitude-global", "sparsity": 0.5, "protocol": "digits-smoke-v1", "points": 3}
    model, *_ = linear_problem(shape=(1, 8, 8))
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    network[1].load_state_dict(model.state_dict())
    bench.evaluate(network, **words, threats=["Linf"], out=tmp_path / "loud" / "run")
    told = capsys.readouterr().err
    assert "No run of the dense parent memory:Sequential@" in told
    assert "(parent_run=False leaves it out)" in told
    assert "backward passes, about " in told
    plans = []
    bench.evaluate(
        network, **words, threats=["Linf"], out=tmp_path / "still" / "run", progress=False, announce=plans.append
    )
    assert not any(capsys.readouterr())
    assert [one.request.recipe for one in plans] == ["dense", "magnitude-global"]


def test_the_parents_run_can_be_left_out(tmp_path):
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    result = bench.evaluate(
        network, recipe="magnitude-global", sparsity=0.5, protocol="digits-smoke-v1", points=3, threats=["Linf"],
        out=tmp_path / "run", parent_run=False,
    )  # fmt: skip
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["run"]
    assert "transfer" not in result.record.scenarios

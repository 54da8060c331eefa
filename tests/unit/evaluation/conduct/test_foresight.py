"""Whatever would make days of work void is told before they begin."""

from fractions import Fraction

import pytest

from bench.cli.main import run
from bench.errors import ContractError, UsageError
from bench.evaluation import environment
from bench.evaluation.conduct.run import evaluate
from bench.evaluation.conduct.scenarios import NO_TRANSFER
from bench.evaluation.plan.plan import Request, plan
from bench.evaluation.search.cascade import Cascade
from bench.models.source import ModelRef
from bench.protocol.load import load
from bench.submission.files import RESULT_FILE, read_result
from bench.threats import Norm


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def stopped(monkeypatch):
    """Let every run end at its first attack."""

    def stop(*_, **__):
        raise ContractError("the first attack begins")

    monkeypatch.setattr(Cascade, "run", stop)


def test_a_run_that_cannot_be_submitted_says_why_before_its_first_attack(stopped, monkeypatch, capsys):
    monkeypatch.setattr(environment, "code_is_dirty", lambda: True)
    words = ["--protocol", "digits-smoke-v1", "--limit", "5", "--seed", "3", "--threat", "L2"]
    pruned = ["--recipe", "magnitude-global", "--sparsity", "0.5", "--no-parent-run"]
    assert run(["evaluate", "--model", "embedded:digits-tiny-linf", *words, *pruned]) == 1
    *reasons, last = capsys.readouterr().err.splitlines()
    assert reasons == [
        "Cannot be submitted: points 0:5 instead of 0:50.",
        "Cannot be submitted: seed 3 instead of 0.",
        "Cannot be submitted: the code differs from its commit.",
        f"Cannot be submitted: {NO_TRANSFER}: evaluate the dense model first, or name its folder with --parent.",
    ]
    assert last.endswith("the first attack begins")


def test_a_sweep_says_each_reason_once_before_its_first_cell(monkeypatch, capsys):
    monkeypatch.setattr(environment, "code_is_dirty", lambda: False)
    monkeypatch.setattr("bench.evaluation.conduct.sweep.Sweep.run", lambda _: iter(()))
    words = ["--protocol", "digits-smoke-v1", "--model", "embedded:digits-tiny-linf", "--limit", "5"]
    run(["sweep", *words, "--recipe", "magnitude-global", "--sparsity", "0.5"])
    assert capsys.readouterr().err.splitlines() == ["Cannot be submitted: points 0:5 instead of 0:50."]


def settled(**options):
    model, rules = ModelRef.parse("embedded:digits-tiny-linf"), load("digits-smoke-v1")
    return plan(Request(model, rules, norms=(Norm.LINF,), limit=2, **options))


@pytest.mark.parametrize("states", [(True, False), (False, True), (True, True)])
def test_code_that_differed_at_the_start_or_at_the_end_is_recorded_once(monkeypatch, states):
    first = iter(states[:1])
    monkeypatch.setattr(environment, "code_is_dirty", lambda: next(first, states[1]))
    result = read_result(evaluate(settled()) / RESULT_FILE)
    assert result.deviations.count(environment.ALTERED) == 1


def test_work_of_other_code_is_not_gone_on_with(monkeypatch):
    run_of, ran = Cascade.run, []

    def interrupted(self, *line):
        if ran:
            raise KeyboardInterrupt
        ran.append(run_of(self, *line))
        return ran[0]

    monkeypatch.setattr(environment, "code_is_dirty", lambda: True)
    monkeypatch.setattr(Cascade, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluate(settled(recipe="magnitude-global", sparsity=Fraction(1, 2)))
    monkeypatch.setattr(environment, "code_is_dirty", lambda: False)
    with pytest.raises(UsageError, match="an unfinished run with another state of the code"):
        evaluate(settled(recipe="magnitude-global", sparsity=Fraction(1, 2)))

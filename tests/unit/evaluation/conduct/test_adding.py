"""A finished run can be asked for more: nothing is attacked twice, and the result is that of one asked at once."""

import json
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from bench.errors import UsageError
from bench.evaluation import environment
from bench.evaluation.conduct.adding import KEPT, adding_to
from bench.evaluation.conduct.estimate import estimate
from bench.evaluation.conduct.run import evaluate
from bench.evaluation.plan.plan import Origin, Request, plan
from bench.evaluation.record import result as records
from bench.evaluation.search.cascade import Cascade
from bench.models.source import ModelRef, state_digest
from bench.protocol.load import load
from bench.submission.arrays import read_arrays
from bench.threats import Norm
from tests.support.budgets import lighter

TINY = ModelRef.parse("embedded:digits-tiny-linf")
CHECKED = load("digits-smoke-v1")
SMOKE, RULES = (rules.model_copy(update={"checks": {}}) for rules in (CHECKED, load("digits-v1")))
HALF = {"recipe": "magnitude-global", "sparsity": Fraction(1, 2)}
ONE, TWO = {"norms": (Norm.LINF,), "limit": 6}, {"norms": (Norm.LINF, Norm.L2), "limit": 6}


@pytest.fixture(autouse=True)
def _here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(environment, "code_is_dirty", lambda: False)


@pytest.fixture
def asked(monkeypatch):
    """Return every proposal that is made, as (weights, attack, threat, settings, round, point, distance it may see)."""
    seen, propose = [], Cascade._propose

    def record(self, step, turns, rows, known):
        if self.recall is not None:  # checks attack apart, and under other settings
            weights = state_digest(self.target.classifier)
            distances = [None] * len(rows) if known is None else known.tolist()
            spelled = json.dumps(dict(step.settings), default=list)
            for turn in turns:
                seen.extend(
                    (weights, step.attack.name, str(step.threat), spelled, turn.index, point, distance)
                    for point, distance in zip(self.target.ids[rows].tolist(), distances, strict=True)
                )
        return propose(self, step, turns, rows, known)

    monkeypatch.setattr(Cascade, "_propose", record)
    return seen


def measure(out, protocol=SMOKE, model=TINY, **options):
    return evaluate(plan(Request(model, protocol, **{"out": Path(out)} | options)))


def same(one, other):
    """Hold two runs together: all but the clock, the passes spent and the last digits of distances."""
    first, second = (json.loads((folder / "result.json").read_text("utf-8")) for folder in (one, other))
    for told in (first, second):
        told.pop("cost")
        told["scenarios"] = {name: record["robust"] for name, record in told["scenarios"].items()}
        for threat in told["threats"]:
            for attack in threat["attacks"]:
                attack.pop("forwards"), attack.pop("backwards")
    assert first == second
    arrays, others = read_arrays(one / "points.npz"), read_arrays(other / "points.npz")
    assert arrays.keys() == others.keys()
    for name, values in arrays.items():
        if name.startswith("distance"):
            np.testing.assert_allclose(values, others[name], rtol=1e-4)
        else:
            assert values.tolist() == others[name].tolist(), name
    found, expected = read_arrays(one / "witnesses.npz"), read_arrays(other / "witnesses.npz")
    assert all(found[f"id_{norm}"].tolist() == expected[f"id_{norm}"].tolist() for norm in Norm)


@pytest.mark.parametrize(
    ("before", "after", "at_once"),
    [
        (ONE, ONE | {"norms": (Norm.L2,)}, TWO),
        ({"norms": (Norm.L0,), "limit": 6}, ONE, {"norms": (Norm.LINF, Norm.L0), "limit": 6}),
        (ONE, ONE | {"limit": 12}, ONE | {"limit": 12}),
        (ONE, {"norms": (Norm.LINF,), "points": (4, 12)}, ONE | {"limit": 12}),
        ({"limit": 4}, {"limit": 8}, {"limit": 8}),
        (ONE | HALF | {"parent_first": False}, ONE | HALF, ONE | HALF),
        (ONE, ONE | {"norms": (Norm.L2,), "engine": "native", "batch_size": 2}, TWO),
    ],
    ids=["a norm after", "a norm before", "points", "points by range", "points in all norms", "a parent", "batches"],
)
def test_what_is_added_is_what_would_have_been_measured_at_once(asked, before, after, at_once):
    measure("runs/mine", **before)
    added = measure("runs/mine", **after)
    assert len(asked) == len(set(asked)), "something was attacked twice"
    same(added, measure("apart/mine", **at_once))


def test_what_is_added_is_checked_as_if_it_had_been_there_from_the_start(asked):
    measure("runs/mine", CHECKED, **ONE)
    added = measure("runs/mine", CHECKED, **TWO)
    assert len(asked) == len(set(asked))
    same(added, measure("apart/mine", CHECKED, **TWO))


def test_a_heavier_preset_attacks_only_what_it_changes(asked):
    points = {"protocol": lighter(RULES), "limit": 1, "norms": (Norm.LINF, Norm.L0)}
    measure("runs/mine", **points)
    done = len(asked)
    added = measure("runs/mine", **points | {"protocol": RULES})
    assert len(asked) == len(set(asked))
    assert {threat for _, _, threat, *_ in asked[done:]} == {"L0 2"}
    same(added, measure("apart/mine", **points | {"protocol": RULES}))


def test_a_run_in_another_folder_takes_what_lies_beside_it(asked):
    first = measure("runs/one", **ONE)
    kept = (first / "result.json").read_bytes()
    second = measure("runs/two", **TWO)
    assert len(asked) == len(set(asked))
    assert (first / "result.json").read_bytes() == kept
    same(second, measure("apart/two", **TWO))
    asked.clear()
    measure("runs/three", **TWO, resume=False)
    assert asked, "afresh is afresh"


def test_another_networks_work_is_never_taken(asked):
    measure("runs/one", **ONE)
    done = set(asked)
    measure("runs/two", **ONE, **HALF, parent_first=False)
    assert {point for *_, point, _ in asked[len(done) :]} <= set(range(6))
    assert len(asked) > len(done)


def test_what_is_told_of_a_network_may_come_later(asked):
    """The network is attacked as it came, and its parent is named when the maker thinks of it."""
    from bench.cli.main import run

    assert run(["prune", "--model", "embedded:digits-tiny-linf", "--recipe", "magnitude-global", "--sparsity", "0.5",
                "--out", "half"]) == 0  # fmt: skip
    shutil.move("half/model.safetensors", "mine.safetensors")
    mine = ModelRef.parse("mine.safetensors", architecture="digits-tiny")
    measure("runs/mine", model=mine, **ONE)
    done = len(asked)
    folder = measure("runs/mine", model=mine, origin=Origin(TINY, "by hand"), **ONE)
    told = json.loads((folder / "result.json").read_text("utf-8"))
    assert (told["pruning"]["method"], told["model"]["parent"]) == ("by hand", str(TINY))
    assert "transfer" in told["scenarios"]
    assert len(asked[done:]) == len(set(asked[done:]))
    parents = {point for *_, point, _ in asked[done:]}
    assert parents == set(range(6)), "the parent's own attacks, and nothing again of the network's"
    with pytest.raises(UsageError, match="holds all of this"):
        measure("runs/mine", model=mine, origin=Origin(TINY, "by hand"), **ONE)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (ONE, "holds all of this"),
        ({"limit": 3, "norms": (Norm.LINF,)}, "holds all of this"),
        ({"points": (20, 30)}, "holds the points 0:6, and 20:30 do not join them"),
        ({"seed": 3}, "a run with another seed"),
        (HALF, "a run with another recipe"),
        ({"model": ModelRef.parse("embedded:digits-mlp-linf")}, "a run with another model"),
        ({"protocol": RULES}, "a run with another protocol"),
        ({"engine": "reference"}, "a run with another engine"),
        ({"resume": False}, "exists already; remove it"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, dict) else "",
)
def test_what_cannot_be_added_is_refused_and_nothing_is_lost(options, says):
    before = measure("runs/mine", **ONE)
    content = {path.name: path.read_bytes() for path in before.iterdir() if path.is_file()}
    with pytest.raises(UsageError, match=says):
        measure("runs/mine", **options)
    assert {path.name: path.read_bytes() for path in before.iterdir() if path.is_file()} == content
    found = estimate(plan(Request(options.get("model", TINY), options.get("protocol", SMOKE), out=before, **{
        key: value for key, value in options.items() if key not in {"model", "protocol"}
    })))  # fmt: skip
    assert says in " ".join(found.words()), "a dry run says the same"


def test_budgets_of_the_rules_are_not_replaced_by_those_of_a_preset():
    measure("runs/mine", RULES, norms=(Norm.L0,), limit=1)
    with pytest.raises(UsageError, match="another preset, and none replaces the protocol's own budgets"):
        measure("runs/mine", RULES.under("fast"), limit=1)


def test_a_run_of_other_code_or_without_its_journal_takes_nothing_on(monkeypatch):
    folder = measure("runs/mine", **ONE)
    with monkeypatch.context() as patch:
        patch.setattr(environment, "code_is_dirty", lambda: True)
        with pytest.raises(UsageError, match="another state of the code"):
            measure("runs/mine", **TWO)
    shutil.rmtree(folder / KEPT)
    with pytest.raises(UsageError, match="without its journal nothing can be added to it"):
        measure("runs/mine", **TWO)


def test_an_interrupted_addition_leaves_the_finished_run_and_goes_on(monkeypatch, asked):
    folder = measure("runs/mine", **ONE)
    kept = (folder / "result.json").read_bytes()
    run, ran = Cascade.run, []

    def interrupted(self, *line):
        if self.recall is not None and len(ran) > 6:
            raise KeyboardInterrupt
        ran.append(line)
        return run(self, *line)

    with monkeypatch.context() as patch:
        patch.setattr(Cascade, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            measure("runs/mine", **TWO)
    assert (folder / "result.json").read_bytes() == kept
    same(measure("runs/mine", **TWO), measure("apart/mine", **TWO))


def test_a_run_that_was_killed_while_it_was_replaced_is_put_back(tmp_path):
    folder = measure("runs/mine", **ONE)
    folder.rename(tmp_path / "runs" / ".mine.before")
    added = measure("runs/mine", **TWO)
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"mine"}
    assert len(json.loads((added / "result.json").read_text("utf-8"))["threats"]) == 2


def test_replacing_leaves_one_result_whatever_lay_about(tmp_path):
    folder = measure("runs/mine", **ONE)
    shutil.copytree(folder, tmp_path / "runs" / ".mine.before")
    records.restore(folder)
    assert not (tmp_path / "runs" / ".mine.before").exists()
    assert (folder / "result.json").exists()


def test_the_command_line_shows_what_there_is_then_and_speaks_of_no_parent(capsys):
    from bench.cli.main import run

    words = ["evaluate", "--model", "embedded:digits-tiny-linf", "--protocol", "digits-smoke-v1", "--limit", "6"]
    assert run([*words, "--threat", "Linf", "--out", "runs/mine"]) == 0
    capsys.readouterr()
    assert run([*words, "--threat", "L2", "--out", "runs/mine"]) == 0
    said = capsys.readouterr()
    assert "digits-tiny-linf--dense--points-0-6--linf-l2 " in said.out
    assert {"Linf 1/10", "L2 1/2"} <= {word.strip() for word in said.out.splitlines()[1].split("  ")}
    assert said.err.splitlines()[0] == "Cannot be submitted: points 0:6 instead of 0:50."
    # two norms of three are a standard run
    assert "threats" not in said.err
    assert "dense parent" not in said.err


def test_a_dry_run_tells_that_it_would_add(tmp_path):
    measure("runs/mine", **ONE)
    settled = plan(Request(TINY, SMOKE, out=tmp_path / "runs" / "mine", norms=(Norm.L2,), limit=6))
    found = estimate(settled)
    assert found.added
    assert found.document()["added"] is True
    assert "to which this is added: nothing is attacked twice" in " ".join(found.words())
    assert [threat.norm for threat in found.plan.threats] == [Norm.LINF, Norm.L2]
    assert adding_to(adding_to(settled)) == adding_to(settled)


def test_the_interface_adds_as_the_command_line_does_and_reads_what_is_there(asked):
    import bench

    def ask(*threats):
        return bench.evaluate(
            "embedded:digits-tiny-linf", protocol="digits-smoke-v1", points=4, threats=threats, out="runs/mine"
        )

    ask("Linf")
    ask("L2")
    done = len(asked)
    assert done == len(set(asked))
    ask("Linf", "L2")
    ask("Linf")
    assert len(asked) == done, "what is there is read"
    told = json.loads(Path("runs/mine/result.json").read_text("utf-8"))
    assert [threat["norm"] for threat in told["threats"]] == ["Linf", "L2"]

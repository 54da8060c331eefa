"""``bench check``: doubts without attacks."""

import json

from bench.cli.evaluate import show_results
from bench.cli.main import run
from bench.submission.files import read_result
from bench.submission.schema import Flag, Level
from tests.support.builders import write

TINY = ["check", "--model", "embedded:digits-tiny-linf", "--limit", "60"]


def test_an_honest_model_passes(capsys):
    assert run(TINY) == 0
    told = capsys.readouterr()
    assert "determinism" in told.out
    assert "needs attacks" in told.out
    assert not told.err


def test_a_collapsed_network_is_named(capsys):
    assert run([*TINY, "--recipe", "magnitude-global", "--sparsity", "0.99", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["schema"], found["collapsed"], found["withheld"]) == ("bench.checks/1", True, True)
    assert {"collapse", "parent"} <= {flag["check"] for flag in found["flags"]}
    assert found["cost"]["forwards"] > 0


def test_twenty_points_do_not_name_a_network_collapsed(capsys):
    options = ["--recipe", "magnitude-global", "--sparsity", "0.99", "--json"]
    assert run([*TINY[:-1], "20", *options]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["collapsed"], found["withheld"]) == (False, True)
    (says,) = [flag["says"] for flag in found["flags"] if flag["check"] == "collapse"]
    assert "too few to tell" in says


def test_a_claim_is_held_against_the_weights(capsys):
    assert run([*TINY, "--sparsity", "0.9", "--parent", "embedded:digits-tiny-linf"]) == 5
    assert "sparsity 0.9 is claimed, 0 was measured (0 zeros of 1220 prunable weights)" in capsys.readouterr().err


def test_a_network_that_came_pruned_is_checked_against_its_parent(capsys, tmp_path):
    assert run(["prune", "--model", "embedded:digits-tiny-linf", "--recipe", "magnitude-global", "--sparsity", "0.5",
                "--out", str(tmp_path / "half")]) == 0  # fmt: skip
    capsys.readouterr()
    assert run(["check", "--model", str(tmp_path / "half" / "model.safetensors"), "--limit", "60", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (flag,) = found["flags"]
    assert (flag["check"], flag["level"]) == ("parent", "inform")
    assert "dense parent embedded:digits-tiny-linf" in flag["says"]


def test_a_recipe_and_a_claim_do_not_go_together(capsys):
    assert run([*TINY, "--recipe", "magnitude-global", "--sparsity", "0.5", "--method", "LAMP"]) == 2
    assert "--method tells of a network that came pruned; leave one of them out" in capsys.readouterr().err


def test_the_checks_are_listed_with_what_they_catch(capsys):
    assert run(["list", "checks", "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)["entries"]
    assert {"cross-norm", "collapse", "logits"} <= {entry["check"] for entry in entries}
    assert all(entry["catches"] and entry["source"] for entry in entries)


def test_a_flag_of_a_result_is_told_with_its_check_and_its_consequence(capsys, tmp_path):
    flag = Flag(check="cross-norm", level=Level.WARN, figure=0.03, threshold=0.02, says="An attack has not converged.")
    folder = write(tmp_path, flags=(flag,))
    show_results([("tiny", read_result(folder / "result.json"))])
    assert "tiny: cross-norm (warn): An attack has not converged." in capsys.readouterr().err

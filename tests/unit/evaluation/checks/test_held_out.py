"""A network that knows the points it is measured on does worse on others, and points that are missing are told."""

import math
from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from bench.errors import InputError
from bench.evaluation.checks.check import CHECKS, Sides
from bench.evaluation.checks.zoo.held_out import _Compared, _drawn, _score
from bench.evaluation.conduct.run import evaluate
from bench.evaluation.plan.plan import Request, plan
from bench.models.source import ModelRef
from bench.protocol.load import load
from bench.submission.files import RESULT_FILE, read_result
from bench.submission.schema import Level
from tests.support.cheats import Stored, trained_on_the_points, trained_on_the_points_too
from tests.support.suspects import Suspect, embedded, evidence_of, protocol, sides


def asked(network, held_out=sides):
    evidence = replace(evidence_of(Suspect(network)), held_out=held_out)
    return CHECKS["held-out"].examine(evidence, protocol().checks["held-out"]), evidence


def test_score_intervals_end_where_the_score_test_turns():
    """At an end e of the interval of p over n points, |p − e| is so many standard errors of e."""
    for share, total, sigmas in ((0.9, 500, 2.5), (0.78, 200, 2.5), (1.0, 50, 3.0), (0.0, 40, 2.0)):
        for sign in (1, -1):
            end = _score(share, total, sign * sigmas)
            assert abs(share - end) == pytest.approx(sigmas * math.sqrt(end * (1 - end) / total), abs=1e-9)


def test_the_difference_is_at_least_what_a_published_example_says():
    """56 of 70 and 48 of 80: Newcombe 1998, table II, example (a), method 10, 95 %: 0.0524 to 0.3339."""
    assert _Compared("", 56, 70, 48, 80).gap(1.959964) == pytest.approx(0.0524, abs=5e-5)


@pytest.mark.parametrize("make", [trained_on_the_points, lambda: Stored(sides().inside)], ids=["trained", "stored"])
def test_a_network_that_knows_its_points_gets_no_number(make):
    (flag,), _ = asked(make())
    assert (flag.check, flag.level) == ("held-out", Level.WITHHOLD)
    assert flag.says.endswith("so the network knows the points that it is measured on.")
    assert "of the 500 points of these rules and" in flag.says


def test_a_network_that_learned_its_points_beside_training_images_is_doubted():
    (flag,), _ = asked(trained_on_the_points_too())
    assert flag.level in {Level.WARN, Level.WITHHOLD}
    assert flag.says.startswith("Under 5 steps of apgd-ce in Linf")


@pytest.mark.parametrize("name", ["digits-tiny-linf", "digits-mlp-linf"])
def test_an_honest_network_raises_no_doubt_and_its_passes_are_counted(name):
    found, evidence = asked(embedded(name))
    assert found == []
    steps, points = int(protocol().checks["held-out"]["steps"]), 1000  # at most 500 inside and 500 outside
    assert 0 < evidence.model.forwards <= points * (1 + 2 * (steps + 4))
    assert 0 < evidence.model.backwards <= points * 2 * (steps + 1)


def test_points_that_are_missing_leave_a_flag_with_the_command_that_tells_where_they_go():
    def missing():
        raise InputError("they are not there")

    (flag,), evidence = asked(embedded("digits-tiny-linf"), missing)
    assert (flag.level, flag.figure) == (Level.WARN, None)
    assert "`bench evaluate` with --dry-run says where to place them" in flag.says
    assert evidence.model.forwards == 0


def test_a_run_of_few_points_is_compared_on_all_points_of_the_rules(tmp_path):
    rules = load("digits-smoke-v1")
    other = rules.model_copy(
        update={
            "held_out": protocol().held_out,
            "checks": {**rules.checks, "held-out": protocol().checks["held-out"] | {"warn": -1.0, "withhold": 1.0}},
        }
    )
    request = Request(ModelRef.parse("embedded:digits-tiny-linf"), other, limit=2, out=tmp_path / "run")
    result = read_result(evaluate(plan(request)) / RESULT_FILE)
    (flag,) = [flag for flag in result.flags if flag.check == "held-out"]
    assert "of the 50 points of these rules" in flag.says


def test_nobody_knows_before_training_which_points_are_drawn():
    pool = sides().outside
    first, second = _drawn(pool, embedded("digits-tiny-linf"), 100.0), _drawn(pool, embedded("digits-mlp-linf"), 100.0)
    assert set(first.ids) != set(second.ids)
    assert first.ids.tolist() == _drawn(pool, embedded("digits-tiny-linf"), 100.0).ids.tolist()
    assert len(set(first.ids)) == len(set(second.ids)) == 100
    assert _drawn(pool, embedded("digits-tiny-linf"), 1e6).ids.tolist() == sorted(pool.ids)


@pytest.mark.parametrize("what", ["held_out", "calibration"])
def test_other_pixels_than_those_of_the_rules_are_refused(what):
    from bench.evaluation.plan.prepare import load_calibration, load_held_out

    load_them = {"held_out": load_held_out, "calibration": load_calibration}[what]
    rules = protocol()
    model = ModelRef.parse("embedded:digits-tiny-linf")
    settled = plan(Request(model, rules, recipe="wanda", sparsity=Fraction(1, 2)))
    named = getattr(rules, what)
    assert len(load_them(settled)) == named.points
    wrong = rules.model_copy(update={what: named.model_copy(update={"digest": "0" * 64})})
    with pytest.raises(InputError, match="are not the protocol's"):
        load_them(replace(settled, protocol=wrong))


def test_the_check_says_nothing_where_nothing_is_held_out():
    found, evidence = asked(embedded("digits-tiny-linf"), None)
    assert found == []
    assert evidence.model.forwards == 0


def test_held_out_points_are_others_than_those_of_the_rules():
    inside, outside = sides()
    assert isinstance(sides(), Sides)
    assert not {image.tobytes() for image in inside.pixels} & {image.tobytes() for image in outside.pixels}
    assert torch.equal(inside.id_tensor(), torch.arange(500))

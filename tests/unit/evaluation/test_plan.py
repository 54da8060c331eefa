"""A request is settled before anything is loaded."""

from fractions import Fraction
from pathlib import Path

import pytest

from bench.errors import ProtocolError, UsageError
from bench.evaluation.plan import Request, entry_name, percent, plan
from bench.models.source import ModelRef
from bench.protocol.load import load, parse
from bench.threats import Norm

MODEL = ModelRef.parse("embedded:digits-tiny-linf")


def settle(**changes):
    return plan(Request(MODEL, load("digits-v1"), **changes))


def test_the_protocol_as_it_is_has_no_deviation():
    settled = settle()
    assert settled.deviations == ()
    assert settled.ids == tuple(range(500))
    assert [step.attack.name for step in settled.steps][:4] == ["apgd-ce", "apgd-t", "fab-t", "square"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"limit": 10}, "points 0:10 instead of 0:500"),
        ({"points": (5, 9)}, "points 5:9 instead of 0:500"),
        ({"norms": (Norm.L2,)}, "threats L2 only"),
        ({"seed": 3}, "seed 3 instead of 0"),
    ],
)
def test_every_deviation_is_told(changes, words):
    assert settle(**changes).deviations == (words,)


def test_the_cost_of_a_point_that_survives_is_that_of_autoattack():
    """7,856 forward and 1,910 backward passes in the reference; ours saves the repeated clean logits and re-checks."""
    passes = [step.passes(10) for step in settle(norms=(Norm.LINF,)).steps if step.attack.name != "fmn"]
    assert 7700 <= sum(each.forwards for each in passes) <= 7856
    assert 1800 <= sum(each.backwards for each in passes) <= 1910


def test_entries_are_named_by_what_they_are():
    assert entry_name(MODEL, "magnitude-global", Fraction(9, 10), "one-shot") == "digits-tiny-linf--magnitude-global-90"
    assert entry_name(MODEL, "wanda", Fraction(63, 64), "bn") == "digits-tiny-linf--wanda-98.4375--bn"
    file = ModelRef.parse("some/where/My Net.safetensors", architecture="cnn-a")
    assert entry_name(file, "dense", None, "one-shot") == "my-net--dense"
    assert settle().out == Path("runs/digits-v1/digits-tiny-linf--dense")


def test_percent_is_short_and_exact_enough():
    assert [percent(Fraction(text)) for text in ("1/2", "0.95", "63/64")] == ["50", "95", "98.4375"]


def test_an_attack_that_lacks_a_setting_is_an_error_of_the_protocol():
    from importlib import resources

    text = (resources.files("bench.protocol") / "digits-v1.toml").read_text("utf-8")
    broken = parse(text.replace("p_init = 0.8", "p_start = 0.8"), where="x.toml")
    with pytest.raises(ProtocolError, match=r"square takes queries, p_init; missing: p_init, unknown: p_start"):
        plan(Request(MODEL, broken))


def test_the_reference_engine_is_not_standard_settings_but_the_same_attacks():
    names = [step.attack.name for step in settle(engine="reference").steps]
    assert names == [step.attack.name for step in settle().steps]


def test_two_of_four_removes_one_half_and_nothing_else():
    with pytest.raises(UsageError, match="one half"):
        settle(recipe="magnitude-2of4", sparsity=Fraction(3, 4))

"""A request is settled before anything is loaded."""

from fractions import Fraction
from pathlib import Path

import pytest

from bench.errors import ProtocolError, UsageError
from bench.evaluation.plan.plan import Request, plan
from bench.models.source import ModelRef
from bench.protocol.load import load, parse
from bench.threats import Norm

MODEL = ModelRef.parse("embedded:digits-tiny-linf")


def settle(**changes):
    return plan(Request(MODEL, changes.pop("protocol", load("digits-v1")), **changes))


def test_the_protocol_as_it_is_has_no_deviation():
    settled = settle()
    assert settled.deviations == ()
    assert settled.out == Path("runs/digits-v1/digits-tiny-linf--dense")
    assert settled.ids == tuple(range(500))
    assert [step.attack.name for step in settled.steps][:4] == ["apgd-ce", "apgd-t", "fab-t", "square"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"limit": 10}, "points 0:10 instead of 0:500"),
        ({"points": (5, 9)}, "points 5:9 instead of 0:500"),
        ({"seed": 3}, "seed 3 instead of 0"),
        ({"protocol": load("digits-v1").under("fast")}, "budgets of the preset fast"),
    ],
)
def test_every_deviation_is_told(changes, words):
    assert settle(**changes).deviations == (words,)


@pytest.mark.parametrize("norms", [(Norm.L2,), (Norm.LINF, Norm.L0)])
def test_each_threat_model_by_itself_is_a_standard_run_with_a_name_of_its_own(norms):
    settled = settle(norms=norms)
    assert settled.deviations == ()
    assert settled.name == f"digits-tiny-linf--dense--{'-'.join(norms).lower()}"
    assert tuple(dict.fromkeys(step.threat.norm for step in settled.steps)) == norms


def test_the_cost_of_a_point_that_survives_is_that_of_autoattack():
    """7,856 forward and 1,910 backward passes in the reference; ours saves the repeated clean logits and re-checks."""
    passes = [step.passes(10) for step in settle(norms=(Norm.LINF,)).steps if step.attack.name != "fmn"]
    assert 7700 <= sum(each.forwards for each in passes) <= 7856
    assert 1800 <= sum(each.backwards for each in passes) <= 1910


def test_an_attack_that_lacks_a_setting_is_an_error_of_the_protocol():
    from importlib import resources

    text = (resources.files("bench.protocol") / "digits-v1.toml").read_text("utf-8")
    broken = parse(text.replace("p_init = 0.8", "p_start = 0.8"), where="x.toml")
    with pytest.raises(
        ProtocolError,
        match=r"x\.toml, line \d+, attacks\.square: takes queries, p_init; missing: p_init, unknown: p_start",
    ):
        plan(Request(MODEL, broken))


def test_the_reference_engine_is_not_standard_settings_but_the_same_attacks():
    names = [step.attack.name for step in settle(engine="reference").steps]
    assert names == [step.attack.name for step in settle().steps]


def test_two_of_four_removes_one_half_and_nothing_else():
    with pytest.raises(UsageError, match="one half"):
        settle(recipe="magnitude-2of4", sparsity=Fraction(3, 4))


def test_a_preset_replaces_the_cascade_of_its_norm_alone():
    standard, literature = load("cifar10-v1"), load("cifar10-v1").under("literature")
    assert literature.threat(Norm.L0).model.epsilon == 20
    assert literature.threat(Norm.L0).attacks == ("sparse-pgd-u", "sparse-pgd-p", "sparse-rs-ce")
    assert literature.attacks["sparse-rs-ce"] == {"queries": 10000, "grid": (20,), "alpha_init": 0.8}
    assert "sigma-zero" not in literature.attacks
    for norm in (Norm.LINF, Norm.L2):
        assert literature.cascade(norm) == standard.cascade(norm)
    assert literature.digest == standard.digest


@pytest.mark.parametrize("name", ["digits-v1", "cifar10-v1", "cifar10-full-v1"])
def test_every_preset_can_be_planned(name):
    protocol = load(name)
    assert protocol.under("standard") is protocol
    for preset in protocol.presets:
        steps = plan(Request(MODEL, protocol.under(preset), norms=(Norm.L0,))).steps
        spent = sum(step.passes(10).forwards for step in steps)
        assert [step.attack.name for step in steps] == list(protocol.presets[preset].threats[0].attacks)
        assert 0 < spent < (200_000 if preset == "literature" else 20_000)


def test_an_unknown_preset_is_named():
    with pytest.raises(UsageError, match="Did you mean 'fast'"):
        load("digits-v1").under("fats")


def test_two_of_four_aims_at_one_half_whether_it_is_said_or_not():
    for said in (None, Fraction(1, 2)):
        assert settle(recipe="magnitude-2of4", sparsity=said).request.sparsity == Fraction(1, 2)

"""The anchor stands where every protocol froze it, under both engines, and looks at what a run is going to do."""

from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from bench.errors import ContractError
from bench.evaluation.checks.check import CHECKS
from bench.evaluation.checks.zoo import anchor
from bench.evaluation.conduct.check_alone import check_alone
from bench.evaluation.conduct.evidence import before_attacks
from bench.evaluation.conduct.run import aim, attack
from bench.evaluation.plan.plan import Request, plan
from bench.evaluation.plan.prepare import prepare
from bench.models.source import ModelRef
from bench.protocol.load import load, names
from bench.threats import Norm, ThreatModel
from tests.support.budgets import lighter
from tests.support.machines import half_way
from tests.support.suspects import Suspect, embedded, evidence_of, planned, protocol

TINY = ModelRef.parse("embedded:digits-tiny-linf")


def doubts(evidence, rules, **changed):
    return CHECKS["anchor"].examine(evidence, {**rules.checks["anchor"], **changed})


def at_one(norm):
    return ThreatModel(norm, Fraction(1))


def under(rules, engine="native"):
    settled = plan(Request(TINY, rules, engine=engine))
    return replace(evidence_of(Suspect(embedded(TINY.name))), planned=planned(settled))


def test_the_anchor_stands_where_every_protocol_froze_it():
    """Protocols that come to the same shortened attacks and the same counts are looked at once."""
    looked = set()
    for name in names():
        rules, evidence = load(name), under(load(name))
        bar = rules.checks["anchor"]
        steps = [(step.attack, step.threat.norm, anchor._shorter(step.settings, at_one(step.threat.norm), bar))
                 for step in evidence.planned]  # fmt: skip
        if (what := repr((steps, sorted(bar.items())))) not in looked:
            exact = {"tolerance": 0.0} if name == "digits-v1" else {}
            assert doubts(evidence, rules, **exact) == [], name
        looked.add(what)
    assert 2 < len(looked) < len(names())


def test_the_anchor_stands_under_the_reference_engine_too():
    assert doubts(under(protocol(), "reference"), protocol()) == []


def test_its_passes_are_counted_and_few():
    evidence = under(protocol())
    doubts(evidence, protocol())
    assert 10_000 < evidence.model.forwards + evidence.model.backwards < 25_000


def test_a_count_that_is_off_by_more_than_the_tolerance_is_a_doubt():
    bar = protocol().checks["anchor"]
    (found,) = doubts(under(protocol()), protocol(), standing_l2=bar["standing_l2"] + bar["tolerance"] + 1)
    assert (found.figure, found.threshold) == (bar["tolerance"] + 1, bar["tolerance"])
    says = f"L2 1/2: 5 shortened attacks leave {bar['standing_l2']:g} points of embedded:digits-tiny-linf standing"
    assert found.says.startswith(says)


def test_a_preset_is_not_held_against_the_rules_of_the_norm_that_it_changes():
    settled = plan(Request(TINY, lighter(load("digits-v1")), limit=8))
    cell = prepare(settled)
    evidence = before_attacks(cell, aim(cell, cell.points.images().device, 8), None)
    assert {step.threat.norm for step in evidence.planned} == {Norm.LINF, Norm.L2}


def test_a_check_without_attacks_looks_at_the_anchor_too():
    settled = plan(Request(TINY, load("digits-smoke-v1"), limit=40))
    found = {one.check: one.word for one in check_alone(settled).findings}
    assert found["anchor"] == "ok"


def test_nothing_is_measured_where_the_anchor_does_not_hold():
    settled = plan(Request(TINY, load("digits-smoke-v1"), limit=10))
    with half_way(), pytest.raises(ContractError, match="refused by the check anchor: Linf 3/20: 5 shortened attacks"):
        attack(prepare(settled), torch.device("cpu"), 64)

"""Which checks run, in which order, and what a refusal is."""

from dataclasses import replace

import pytest
import torch

from bench.errors import ContractError, ProtocolError
from bench.evaluation.checks.check import Stage
from bench.evaluation.checks.runner import admit, chosen, foresee, review
from bench.evaluation.search.meter import Meter
from bench.submission.schema import Level
from tests.support.defects import Shaky
from tests.support.suspects import Suspect, embedded, evidence_of, protocol


def with_checks(**checks):
    return protocol().model_copy(update={"checks": {**protocol().checks, **checks}})


def test_an_unknown_check_is_refused():
    with pytest.raises(ProtocolError, match=r"checks\.luck is no check"):
        chosen(with_checks(luck={}))


def test_a_missing_and_a_surplus_threshold_are_named():
    with pytest.raises(ProtocolError, match="missing: rise, unknown: fall"):
        chosen(with_checks(curves={"fall": 0.0}))


def test_admission_comes_first():
    stages = [check.stage for check, _ in chosen(protocol())]
    assert stages == sorted(stages, key=list(Stage).index)


def test_a_refused_model_is_refused_with_one_sentence():
    evidence = evidence_of(Suspect(Shaky(embedded("digits-tiny-linf"))))
    with pytest.raises(ContractError, match="refused by the check batch-invariance: The logits of an image depend"):
        admit(protocol(), evidence)


def test_an_honest_network_is_admitted_and_its_passes_are_counted():
    evidence = evidence_of(Suspect(embedded("digits-tiny-linf")))
    assert admit(protocol(), evidence) == []
    held_out = 200
    assert held_out < evidence.model.forwards < 20 * len(evidence.labels) + held_out
    assert 0 < evidence.model.backwards <= 6 * 64


def test_without_attacks_only_the_network_is_looked_at():
    evidence = evidence_of(Suspect(embedded("digits-tiny-linf")))
    wrong = replace(evidence, logits=torch.zeros_like(evidence.logits))
    assert [(flag.check, flag.level) for flag in review(protocol(), wrong)] == [("collapse", Level.WITHHOLD)]


def test_what_was_foreseen_is_taken_over_in_its_place_and_costs_nothing_twice():
    parent, network = embedded("digits-tiny-linf"), embedded("digits-tiny-linf")
    evidence = replace(evidence_of(Suspect(network)), parent=parent, parent_model=Meter(parent, 10))
    wrong = replace(evidence, logits=torch.zeros_like(evidence.logits))
    known = foresee(protocol(), wrong)
    assert [flag.check for flag in known] == ["collapse"]
    assert review(protocol(), wrong, known) == review(protocol(), wrong)
    assert foresee(protocol(), evidence) == []
    forwards = evidence.parent_model.forwards
    assert forwards == len(evidence.labels)
    assert review(protocol(), evidence, []) == []
    assert evidence.parent_model.forwards == forwards

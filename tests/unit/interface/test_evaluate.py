"""Networks that a program holds, measured as the command line measures its own."""

import torch

import bench
from bench.evaluation.plan.plan import Origin, Request, plan
from bench.models.source import ModelRef, load
from bench.protocol.load import load as rules
from bench.threats import Norm


def test_a_parent_handed_over_is_told_of_and_the_network_is_not_asked_for_elsewhere(tmp_path):
    parent = load(ModelRef.parse("embedded:digits-tiny-linf")).classifier
    child = bench.prune(parent, "magnitude-global", 0.5, example=torch.rand(2, 1, 8, 8)).network
    result = bench.evaluate(
        child, parent=parent, method="mine", sparsity=0.5, protocol="digits-smoke-v1", points=4, threats=["Linf"],
        out=tmp_path / "run",
    )  # fmt: skip
    assert result.record.model.parent.startswith("memory:Normalised@")
    assert result.record.scenarios["transfer"].robust[Norm.LINF] >= result.record.threat(Norm.LINF).robust
    assert [reason for reason in result.record.deviations if "handed over in Python" in reason] == [
        "the network was handed over in Python, so nobody else can load it"
    ]
    assert not any(flag.check == "replay" for flag in result.flags)


def test_a_parent_that_nobody_else_can_load_makes_no_standard_run():
    handed = Origin(parent=ModelRef("memory", "Net@0123"))
    settled = plan(Request(ModelRef.parse("embedded:digits-tiny-linf"), rules("digits-smoke-v1"), origin=handed))
    assert settled.deviations == ("the network was handed over in Python, so nobody else can load it",)

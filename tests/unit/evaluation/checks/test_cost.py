"""Checks are cheap beside the evaluation that they doubt, and silent on honest networks under the real protocol."""

from fractions import Fraction

import pytest
import torch

from bench.evaluation.conduct.run import attack
from bench.evaluation.environment import exact_arithmetic
from bench.evaluation.plan.plan import Request, plan
from bench.evaluation.plan.prepare import prepare
from bench.models.source import ModelRef
from bench.protocol.load import load
from bench.submission.schema import Level


@pytest.mark.soak
@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("digits-cnn-linf", "dense"),
        ("digits-cnn-natural", "dense"),
        ("digits-resnet-natural", "magnitude-global"),
        ("digits-tiny-linf", "magnitude-global"),
    ],
)
def test_checks_add_at_most_fifteen_percent_and_warn_of_nothing(name, recipe, tmp_path):
    sparsity = None if recipe == "dense" else Fraction(1, 2)
    request = Request(
        ModelRef.parse(f"embedded:{name}"), load("digits-v1"), recipe, sparsity, limit=100, out=tmp_path / "run"
    )
    with exact_arithmetic():
        found = attack(prepare(plan(request)), torch.device("cpu"), 512)
    checks = found.checks.forwards + found.checks.backwards
    rest = found.spent.forwards + found.spent.backwards - checks
    assert checks <= 0.15 * rest
    assert [flag.says for flag in found.flags if flag.level is not Level.INFORM] == []

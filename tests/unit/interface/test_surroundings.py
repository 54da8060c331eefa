"""What a program around has chosen for itself changes no number, and is as before afterwards."""

from contextlib import contextmanager

import pytest
import torch
from torch import nn

import bench
from bench.data.dataset import DATASETS
from bench.errors import UsageError
from bench.evaluation.environment import exact_arithmetic


@contextmanager
def doubles():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def reduced():
    before = torch.backends.mkldnn.matmul.fp32_precision
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision("highest")
        torch.backends.mkldnn.matmul.fp32_precision = before


def test_products_are_of_full_precision_inside_and_as_before_afterwards():
    with reduced():
        before = torch.backends.mkldnn.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision
        assert before[0] == "bf16"
        with exact_arithmetic():
            assert torch.get_float32_matmul_precision() == "highest"
            assert not torch.backends.cudnn.allow_tf32
            assert torch.backends.mkldnn.matmul.fp32_precision == "ieee"
            assert torch.backends.cudnn.conv.fp32_precision == "ieee"
        assert torch.get_float32_matmul_precision() == "medium"
        assert (torch.backends.mkldnn.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision) == before


def state():
    return (
        torch.get_default_dtype(),
        torch.get_float32_matmul_precision(),
        torch.is_autocast_enabled("cpu"),
        torch.is_inference_mode_enabled(),
        torch.is_grad_enabled(),
        torch.get_default_device(),
    )


SURROUNDINGS = {
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
    "double precision": doubles,
    "products of lower precision": reduced,
    "another device": lambda: torch.device("meta"),
}


ATTACK = {"norm": "L2", "epsilon": "1/2", "protocol": "digits-smoke-v1", "progress": False}
EVALUATE = {"protocol": "digits-smoke-v1", "points": 3, "threats": "Linf", "progress": False} | {
    "recipe": "magnitude-global", "sparsity": 0.5, "parent_run": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def problem():
    points = DATASETS["digits"].load("test", range(6))
    return bench.load("embedded:digits-tiny-linf"), points.images(), points.label_tensor()


@pytest.fixture(scope="module")
def attacked(problem):
    return bench.attack(*problem, **ATTACK)


@pytest.fixture(scope="module")
def evaluated(problem, tmp_path_factory):
    return bench.evaluate(problem[0], **EVALUATE, out=tmp_path_factory.mktemp("elsewhere") / "run")


@pytest.mark.parametrize("around", SURROUNDINGS)
def test_an_attack_gives_what_it_gives_without(problem, attacked, around):
    with SURROUNDINGS[around]():
        before = state()
        found = bench.attack(*problem, **ATTACK)
        assert state() == before
    assert torch.equal(found.distances, attacked.distances)
    assert torch.equal(found.images, attacked.images)


@pytest.mark.parametrize("around", SURROUNDINGS)
def test_an_evaluation_gives_what_it_gives_without(problem, evaluated, around, tmp_path):
    with SURROUNDINGS[around]():
        found = bench.evaluate(problem[0], **EVALUATE, out=tmp_path / "run")
    assert found.record.threats == evaluated.record.threats
    assert found.record.model == evaluated.record.model
    assert found.record.pruning == evaluated.record.pruning


def test_networks_that_cannot_be_frozen_are_told():
    with pytest.warns(FutureWarning):
        scripted = torch.jit.script(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)))
    with pytest.raises(UsageError, match="hand over the module that it was made of"):
        bench.measure(scripted, scripted, torch.rand(2, 1, 8, 8))
    lazy = nn.Sequential(nn.Flatten(), nn.LazyLinear(10))
    with pytest.raises(UsageError, match="whose weights are all there"):
        bench.measure(lazy, lazy, torch.rand(2, 1, 8, 8))

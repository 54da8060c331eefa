"""Pruning and measuring networks of one's own."""

import pytest
import torch
from torch import nn

import bench
from bench.errors import UsageError


def network(seed=0):
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10))


EXAMPLE = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def test_a_recipe_reaches_the_sparsity_asked_for_and_leaves_the_network_alone():
    parent = network()
    before = [parameter.clone() for parameter in parent.parameters()]
    found = bench.prune(parent, "magnitude-global", "9/10", example=EXAMPLE)
    weights = [layer.weight for layer in found.network if hasattr(layer, "weight")]
    zeros, total = sum(int((w == 0).sum()) for w in weights), sum(w.numel() for w in weights)
    assert (found.measured.zeros, found.measured.prunable) == (zeros, total)
    assert zeros == round(0.9 * total)
    assert {name: int((~mask).sum()) for name, mask in found.masks.items()} == {
        f"{index}.weight": int((found.network[index].weight == 0).sum()) for index in (0, 3)
    }
    assert all(torch.equal(*pair) for pair in zip(before, parent.parameters(), strict=True))
    assert parent.training


def test_calibration_serves_as_example():
    labels = torch.zeros(4, dtype=torch.int64)
    found = bench.prune(network(), "wanda", 0.5, calibration=(EXAMPLE, labels))
    assert found.measured.zeros * 2 == found.measured.prunable


def test_layers_that_are_kept_stay_whole(tmp_path):
    parent = network()
    for keep in (["0"], "0"):
        found = bench.prune(parent, "magnitude-global", 0.5, example=EXAMPLE, keep=keep)
        assert [layer.zeros for layer in found.measured.layers] == [0, round(0.5 * (36 + 2560))]
    result = bench.evaluate(
        parent, recipe="magnitude-global", sparsity=0.5, keep="0", protocol="digits-smoke-v1", points=2, threats="Linf",
        parent_run=False, out=tmp_path / "run", progress=False,
    )  # fmt: skip
    assert [layer.zeros for layer in result.record.pruning.layers] == [0, round(0.5 * (36 + 2560))]
    assert result.record.pruning.keep == ("0",)


def test_anybodys_zeros_are_counted_against_the_parent():
    parent, child = network(), network()
    with torch.no_grad():
        child[0].weight[1] = 0
        child[3].weight[:, :200] = 0
    found = bench.measure(parent, child, EXAMPLE)
    assert found.zeros == 9 + 2000
    assert [layer.zeros for layer in found.layers] == [9, 2000]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"recipe": "magnitude-gobal", "sparsity": 0.5, "example": EXAMPLE}, "Did you mean 'magnitude-global'"),
        ({"recipe": "magnitude-global", "sparsity": 0.5}, "give calibration"),
        ({"recipe": "magnitude-global", "sparsity": "half", "example": EXAMPLE}, "a sparsity is a share"),
        ({"recipe": "magnitude-global", "sparsity": 1.5, "example": EXAMPLE}, "between 0 and 1"),
        ({"recipe": "wanda", "sparsity": 0.5, "example": EXAMPLE}, "none were given"),
    ],
)
def test_what_does_not_fit_is_told(words, says):
    with pytest.raises(UsageError, match=says):
        bench.prune(network(), words.pop("recipe"), words.pop("sparsity"), **words)

"""SparseGPT: what stays makes up for what goes, exactly as least squares would have it."""

import dataclasses
from fractions import Fraction

import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.errors import ContractError
from bench.pruning.masks import keep_largest, zeros_wanted
from bench.pruning.prune import prune
from bench.pruning.recipe import RECIPES, Reconstructed
from bench.pruning.reconstruction import DAMPING, solve
from tests.support.pruning_networks import NETWORKS, build, context


def problem(rows: int, columns: int, points: int = 400, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weights and correlated inputs, one a line."""
    source = torch.Generator().manual_seed(seed)
    mixing = torch.randn(columns, columns, generator=source, dtype=torch.float64)
    inputs = torch.randn(points, columns, generator=source, dtype=torch.float64) @ mixing
    return torch.randn(rows, columns, generator=source, dtype=torch.float64), inputs


def test_one_weight_that_goes_is_made_up_for_as_least_squares_would():
    weight, inputs = problem(rows=1, columns=6)
    weight[0, 0] = 1e-6  # the one to go; all others come after it and may move
    moments = (inputs.T @ inputs).unsqueeze(0)
    solved, mask = solve(weight.unsqueeze(0), moments, keep=5, name="w")
    assert mask[0, 0].tolist() == [False, True, True, True, True, True]
    damping = (DAMPING * moments[0].diagonal().mean()).sqrt() * torch.eye(6, dtype=torch.float64)
    system = torch.cat([inputs, damping])
    rest = torch.linalg.lstsq(system[:, 1:], system @ weight[0]).solution
    torch.testing.assert_close(solved[0, 0, 1:], rest, rtol=1e-8, atol=1e-12)
    assert solved[0, 0, 0] == 0


def test_the_outputs_change_less_than_under_the_same_mask_without_moving_and_than_under_magnitude():
    weight, inputs = problem(rows=16, columns=200)
    solved, mask = solve(weight.unsqueeze(0), (inputs.T @ inputs).unsqueeze(0), keep=1600, name="w")
    by_size = keep_largest({"w": weight}, {"w": weight.abs()}, 1600)["w"]
    errors = [float(((weight - other) @ inputs.T).norm()) for other in (solved[0], weight * mask[0], weight * by_size)]
    assert errors[0] < 0.85 * min(errors[1:])
    assert int(mask.sum()) == int((solved != 0).sum()) == 1600


def test_each_block_of_columns_loses_its_share():
    weight, inputs = problem(rows=8, columns=300, points=1000)
    _, mask = solve(weight.unsqueeze(0), (inputs.T @ inputs).unsqueeze(0), keep=601, name="w")
    counts = [int(part.sum()) for part in mask[0].split(128, dim=1)]
    assert sum(counts) == 601
    for count, width in zip(counts, (128, 128, 44), strict=True):
        assert abs(count - 601 * width / 300) <= 1


def test_weights_without_input_go_first_and_stay_as_they_are_if_they_stay():
    weight, inputs = problem(rows=4, columns=8)
    inputs[:, [2, 5]] = 0.0
    moments = (inputs.T @ inputs).unsqueeze(0)
    _, first = solve(weight.unsqueeze(0), moments, keep=24, name="w")
    assert not first[0][:, [2, 5]].any()
    assert int(first.sum()) == 24
    solved, more = solve(weight.unsqueeze(0), moments, keep=27, name="w")
    assert int(more[0][:, [2, 5]].sum()) == 3
    dead = more[0] & torch.tensor([index in {2, 5} for index in range(8)])
    assert torch.equal(solved[0][dead], weight[dead])


def test_groups_are_problems_of_their_own():
    weight, inputs = problem(rows=4, columns=6)
    other, others = problem(rows=4, columns=6, seed=1)
    both, mask = solve(
        torch.stack([weight, other]), torch.stack([inputs.T @ inputs, others.T @ others]), keep=24, name="w"
    )
    for index, (one, given) in enumerate(((weight, inputs), (other, others))):
        kept = int(mask[index].sum())
        alone, _ = solve(one.unsqueeze(0), (given.T @ given).unsqueeze(0), kept, name="w")
        torch.testing.assert_close(both[index], alone[0])


@pytest.mark.parametrize("name", list(NETWORKS))
def test_layers_of_every_kind_are_solved_and_the_count_is_exact(name):
    parent, given = build(name), context(points=64)
    pruned = prune(parent, "sparsegpt", Fraction(2, 3), given)
    assert pruned.measured.zeros == zeros_wanted(pruned.masks, Fraction(2, 3))
    moved = [key for key, mask in pruned.masks.items()
             if not torch.equal(pruned.network.get_parameter(key)[mask], parent.get_parameter(key)[mask])]  # fmt: skip
    assert set(moved) == set(pruned.masks)


def test_the_first_convolution_is_solved_on_its_unfolded_inputs():
    parent, given = build("residual"), context(points=32)
    pruned = prune(parent, "sparsegpt", Fraction(1, 2), given)
    patches = functional.unfold(given.calibration[0], 3, padding=1).transpose(1, 2).flatten(0, 1).double()
    keep = int(pruned.masks["stem.weight"].sum())
    weight = parent.stem.weight.flatten(1).double().unsqueeze(0)
    expected, mask = solve(weight, (patches.T @ patches).unsqueeze(0), keep, name="stem")
    assert torch.equal(pruned.masks["stem.weight"], mask[0].view_as(parent.stem.weight))
    torch.testing.assert_close(pruned.network.stem.weight.flatten(1).double(), expected[0], rtol=1e-3, atol=1e-4)


def test_the_logits_stay_nearer_to_the_parents_than_under_uniform_magnitude():
    parent, given = build("residual"), context(points=256)
    images = given.calibration[0]
    with torch.no_grad():
        whole = parent(images)
        errors = [float((prune(parent, recipe, Fraction(1, 2), given).network(images) - whole).norm())
                  for recipe in ("sparsegpt", "magnitude-uniform")]  # fmt: skip
    assert errors[0] < errors[1] / 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rewrites": False}, "does not say so"),
        ({"decide": lambda *_: Reconstructed({}, {"head.weight": torch.zeros(10, 16)})}, "no mask"),
        ({"decide": lambda *_: Reconstructed({"head.weight": torch.ones(10, 16) > 0},
                                             {"head.weight": torch.full((10, 16), float("nan"))})}, "not finite"),
        ({"decide": lambda *_: Reconstructed({"head.weight": torch.ones(10, 16) > 0},
                                             {"head.weight": torch.zeros(10, 15)})}, "do not fit"),
    ],
)  # fmt: skip
def test_a_recipe_that_moves_weights_is_held_to_its_contract(monkeypatch, change, says):
    wrong = dataclasses.replace(RECIPES["sparsegpt"], **change)
    monkeypatch.setattr(RECIPES, "_entries", RECIPES._entries | {"wrong": wrong})
    with pytest.raises(ContractError, match=says):
        prune(build("residual"), "wrong", Fraction(1, 2), context())


def test_a_product_that_is_not_known_is_named():
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(192, 10)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return (images.flatten(1).unsqueeze(1) * self.head.weight).sum(dim=2)

    with torch.random.fork_rng(devices=[]):
        network = Scaled().eval().requires_grad_(requires_grad=False)
    with pytest.raises(ContractError, match=r"'head\.weight' was seen"):
        prune(network, "sparsegpt", Fraction(1, 2), context())

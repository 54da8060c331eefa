"""Each criterion against its formula or an independent implementation."""

import copy
from fractions import Fraction

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import prune as torch_prune

from bench.errors import InfeasibleError
from bench.pruning import adversary
from bench.pruning.activations import input_norms
from bench.pruning.adversary import pgd
from bench.pruning.allocation import apportion, erk_quota, uniform_quota
from bench.pruning.gradients import clean_gradients, saliency
from bench.pruning.masks import prunable, smallest
from bench.pruning.prune import prune
from bench.pruning.recipe import RECIPES, Structure
from bench.pruning.zoo.magnitude_lamp import lamp
from bench.threats import Norm, ThreatModel, exact
from tests.support.pruning_networks import NETWORKS, build, context


@pytest.mark.parametrize("network", ["residual", "depthwise"])
def test_global_magnitude_is_that_of_torch(network):
    parent, reference = build(network), build(network)
    modules = [module for name, module in reference.named_modules()
               if isinstance(module, nn.Conv2d | nn.Linear) and name != "unused"]  # fmt: skip
    pruned = prune(parent, "magnitude-global", Fraction(7, 10), context())
    pairs = [(module, "weight") for module in modules]
    torch_prune.global_unstructured(pairs, torch_prune.L1Unstructured, amount=pruned.measured.zeros)
    for module in modules:
        torch_prune.remove(module, "weight")
    assert all(torch.equal(tensor, reference.state_dict()[key]) for key, tensor in pruned.network.state_dict().items())


def test_uniform_magnitude_is_that_of_torch_layer_by_layer():
    parent, reference = build("residual"), build("residual")
    pruned = prune(parent, "magnitude-uniform", Fraction(7, 10), context())
    for layer in pruned.measured.layers:
        module = reference.get_submodule(layer.name.removesuffix(".weight"))
        assert abs(layer.zeros - 0.7 * layer.weights) <= 1
        torch_prune.l1_unstructured(module, "weight", amount=layer.zeros)
        torch_prune.remove(module, "weight")
    assert all(torch.equal(tensor, reference.state_dict()[key]) for key, tensor in pruned.network.state_dict().items())


def test_lamp_scores_by_hand():
    scores = lamp(torch.tensor([[3.0, -1.0], [2.0, 0.0]]))
    expected = torch.tensor([[1.0, 1 / 14], [4 / 13, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(scores, expected, rtol=1e-12, atol=0)


def test_erk_densities_by_hand():
    weights = {"conv": torch.ones(10, 5, 3, 3), "linear": torch.ones(20, 30)}
    quota = erk_quota(weights, 142)  # shares 21 and 50: 42 and 100 of 450 and 600
    assert quota == {"conv": 42, "linear": 100}
    assert erk_quota({"thin": torch.ones(2, 2), "wide": torch.ones(100, 100)}, 1000) == {"thin": 4, "wide": 996}


def test_layers_that_are_sparser_already_keep_what_they_have_and_the_others_make_up_for_it():
    half = torch.tensor([1.0, 0.0]).repeat(50)
    weights = {"half": half, "full": torch.ones(100), "empty": torch.zeros(100)}
    assert uniform_quota(weights, 120) == {"half": 50, "full": 70, "empty": 0}
    assert uniform_quota(weights, 60) == {"half": 30, "full": 30, "empty": 0}


UNSTRUCTURED = [name for name in RECIPES if RECIPES[name].structure is Structure.UNSTRUCTURED]


@pytest.mark.parametrize("recipe", [name for name in UNSTRUCTURED if name != "synflow"])
def test_a_parent_with_an_empty_layer_and_a_half_empty_one_is_pruned_to_the_count(recipe):
    parent = build("residual")
    with torch.no_grad():
        parent.head.weight.zero_()
        parent.second.weight[:, ::2] = 0.0
    measured = prune(parent, recipe, Fraction(1, 2), context()).measured
    assert abs(measured.zeros - measured.prunable / 2) <= 0.5


@pytest.mark.parametrize("count", [0, 1, 3000, 49_990, 50_000])
def test_the_smallest_scores_are_those_of_a_stable_sort_whatever_their_order(count):
    scores = torch.rand(50_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64).mul(9000).floor()
    for given in (scores, scores.sort().values, scores.sort(descending=True).values, torch.zeros_like(scores)):
        order = given.flip(0).argsort(stable=True)[:count]
        expected = torch.zeros(len(given), dtype=torch.bool)
        expected[len(given) - 1 - order] = True
        assert torch.equal(smallest(given, count), expected)


def test_seats_are_dealt_as_webster_does():
    assert apportion([53, 24, 23], [100, 100, 100], 10) == [6, 2, 2]  # 53/11 > 24/5 > 23/5 decides the last


def test_saliency_is_the_weight_times_its_gradient_in_evaluation_mode():
    network, given = build("residual"), context(points=200)
    weights = prunable(network, given.example)
    scores = saliency(weights, clean_gradients(network, weights, given, "test"))
    oracle = copy.deepcopy(network).requires_grad_(requires_grad=True)
    functional.cross_entropy(oracle(given.calibration[0]), given.calibration[1]).backward()
    for name, weight in weights.items():
        expected = (weight * oracle.get_parameter(name).grad).abs().double()
        torch.testing.assert_close(scores[name], expected, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("network", list(NETWORKS))
def test_input_norms_are_those_of_the_unfolded_inputs(network):
    made, images = build(network), context().calibration[0]
    weights = prunable(made, images)
    norms = input_norms(made, weights, images)
    for name, module in made.named_modules():
        if f"{name}.weight" not in weights or name == "layer.self_attn.out_proj":
            continue
        seen = []
        handle = module.register_forward_hook(lambda _, inputs, __, seen=seen: seen.append(inputs[0]))
        made(images)
        handle.remove()
        if isinstance(module, nn.Linear):
            expected = seen[0].double().flatten(0, -2).square().sum(dim=0).sqrt().expand_as(module.weight)
        else:
            columns = functional.unfold(seen[0].double(), module.kernel_size, module.dilation, module.padding,
                                        module.stride).square().sum(dim=(0, 2)).sqrt()  # fmt: skip
            rows = columns.view(module.groups, *module.weight.shape[1:])
            expected = rows.repeat_interleave(module.out_channels // module.groups, dim=0)
        torch.testing.assert_close(norms[f"{name}.weight"], expected.double(), rtol=1e-5, atol=1e-6)


def test_wanda_keeps_the_same_share_of_every_output_row():
    pruned = prune(build("residual"), "wanda", Fraction(1, 2), context())
    for mask in pruned.masks.values():
        share = mask.flatten(1).float().mean(dim=1)
        assert float(share.min()) >= 0.4
        assert float(share.max()) <= 0.6


def test_synflow_keeps_a_path_where_magnitude_alone_would_not():
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.ReLU(), nn.Linear(8, 10)).eval().requires_grad_(False)
    with torch.no_grad():
        network[1].weight.fill_(1.0)
        network[3].weight.fill_(1e-4)
    keep = Fraction(1, 100)
    assert prune(network, "magnitude-global", 1 - keep, context()).measured.collapsed_layers == ("3.weight",)
    assert prune(network, "synflow", 1 - keep, context()).measured.collapsed_layers == ()


class Standardised(nn.Module):
    """Subtracts from every image its own mean, as some networks for CIFAR-10 do: nothing is left of one colour."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = build("residual")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        return self.inside(images - images.mean(dim=(1, 2, 3), keepdim=True))


def test_synflow_refuses_a_network_through_which_an_image_of_ones_does_not_flow():
    with pytest.raises(InfeasibleError, match="standardised by itself or a layer is empty"):
        prune(Standardised(), "synflow", Fraction(1, 2), context())
    parent = build("residual")
    with torch.no_grad():
        parent.head.weight.zero_()
    with pytest.raises(InfeasibleError, match="a layer is empty"):
        prune(parent, "synflow", Fraction(1, 2), context())


def test_hydra_learns_masks_that_lose_less_than_its_first_ones():
    network, given = build("residual"), context(points=64)
    images, labels = given.calibration
    longer = context(points=64, training=type(given.training)(epochs=12, batch=16, steps=2))
    losses = []
    for settings in (type(given.training)(epochs=0), longer.training):
        pruned = prune(network, "hydra", Fraction(1, 2), context(points=64, training=settings), "bn")
        with torch.no_grad():
            losses.append(float(functional.cross_entropy(pruned.network(images), labels)))
    assert losses[1] < losses[0]


@pytest.mark.parametrize(("norm", "radius"), [(Norm.LINF, "1/10"), (Norm.L2, "1/2")])
def test_the_adversary_stays_in_its_ball_and_raises_the_loss(norm, radius):
    network, (images, labels) = build("residual"), context().calibration
    threat = ThreatModel(norm, exact(radius))
    moved = pgd(network, images, labels, threat, steps=10, seed=0, purpose="test")
    size = (moved - images).flatten(1).norm(p=float("inf") if norm is Norm.LINF else 2, dim=1)
    assert float(size.max()) <= float(threat.epsilon) * (1 + 1e-5)
    assert 0 <= float(moved.min()) <= float(moved.max()) <= 1
    with torch.no_grad():
        assert functional.cross_entropy(network(moved), labels) > functional.cross_entropy(network(images), labels)


@pytest.mark.parametrize(("norm", "radius"), [(Norm.LINF, "1/10"), (Norm.L2, "1/2")])
def test_images_climb_alike_in_parts_of_any_size(monkeypatch, norm, radius):
    network, (images, labels) = build("residual"), context(points=11).calibration
    climbed = []
    for part in (1, 4, 100):
        monkeypatch.setattr(adversary, "PART", part)
        threat = ThreatModel(norm, exact(radius))
        climbed.append(pgd(network, images, labels, threat, steps=3, seed=0, purpose="test"))
    for other in climbed[1:]:
        torch.testing.assert_close(other, climbed[0], rtol=0, atol=1e-4)


def test_every_recipe_file_is_one_recipe():
    assert len(list(RECIPES)) >= 12

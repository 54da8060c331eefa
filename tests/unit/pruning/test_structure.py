"""Removing channels: what may go, what goes with it, and that the smaller network is the right one."""

import copy
from fractions import Fraction

import pytest
import torch
from torch import nn
from torch.nn import functional

from bench.errors import ContractError, InfeasibleError
from bench.pruning.prune import prune
from bench.pruning.recipe import RECIPES, Channels, Structure
from bench.pruning.slices import compose, materialise, prove, same_function, slice_plan, sliced
from bench.pruning.structure import equal_ratio, inner_groups, parameters
from bench.pruning.tracing import traced_groups
from tests.support.pruning_networks import build, context


class Mixing(nn.Module):
    """A block whose reshape knows its width: cut to half, two images become one, as in TRADES' WideResNet."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.inner = nn.Conv2d(16, 32, 3, padding=1)
        self.outer = nn.Conv2d(32, 16, 3, padding=1)
        self.first = nn.Linear(16, 24)
        self.last = nn.Linear(24, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        hidden = self.stem(images).relu()
        hidden = hidden + self.outer(self.inner(hidden).relu())
        return self.last(self.first(hidden.mean(dim=(2, 3))).relu().view(-1, 24))


def test_inner_groups_are_those_inside_a_block():
    assert [group.producer for group in inner_groups(build("residual"), context())] == ["first"]
    assert [group.producer for group in inner_groups(build("attention"), context())] == ["layer.linear1"]
    assert [group.producer for group in inner_groups(build("depthwise"), context())] == ["expand"]


def test_batch_norm_and_depthwise_convolutions_go_along():
    (group,) = inner_groups(build("depthwise"), context())
    assert {place for place in group.owners if "norm" not in place[0]} == {
        ("expand.weight", 0), ("expand.bias", 0), ("depthwise.weight", 0), ("depthwise.bias", 0), ("project.weight", 1),
    }  # fmt: skip
    assert ("expand_norm.running_var", 0) in group.owners
    child = materialise(build("depthwise"), slice_plan([group], {"expand": range(12)}))
    assert (child.depthwise.groups, child.depthwise.in_channels, child.expand_norm.num_features) == (12, 12, 12)


def test_a_reshape_that_would_mix_the_images_of_a_batch_is_left_alone():
    network = Mixing().eval()
    assert [group.producer for group in inner_groups(network, context())] == ["inner"]


class Shuffled(nn.Module):
    """Channels become positions half way."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Conv2d(3, 32, 3, padding=1)
        self.inner = nn.Conv2d(8, 16, 3, padding=1)
        self.head = nn.Linear(16, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        larger = functional.pixel_shuffle(self.up(images).relu(), 2)
        return self.head(self.inner(larger).relu().mean(dim=(2, 3)))


class Split(nn.Module):
    """Half of the channels take a detour: a cut that leaves the halves unequal moves the place of the split."""

    def __init__(self, *, gated: bool = False) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.detour = nn.Conv2d(8, 8, 3, padding=1)
        self.inner = nn.Conv2d(8 if gated else 16, 12, 1)
        self.head = nn.Linear(12, 10)
        self.gated = gated

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        straight, bent = self.stem(images).relu().chunk(2, dim=1)
        bent = self.detour(bent).relu()
        joined = straight * bent if self.gated else torch.cat([straight, bent], dim=1)
        return self.head(self.inner(joined).relu().mean(dim=(2, 3)))


class Grouped(nn.Module):
    """A convolution in groups between the two others."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.grouped = nn.Conv2d(16, 16, 3, padding=1, groups=4)
        self.head = nn.Linear(16, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        return self.head(self.grouped(self.stem(images).relu()).relu().mean(dim=(2, 3)))


def test_where_channels_become_positions_are_split_or_grouped_they_stay():
    made = {"shuffle": Shuffled(), "split": Split(), "gate": Split(gated=True), "groups": Grouped()}
    found = {
        name: [group.producer for group in inner_groups(network.eval(), context())] for name, network in made.items()
    }
    assert found == {"shuffle": ["inner"], "split": ["detour", "inner"], "gate": ["inner"], "groups": []}


CHANNEL = [name for name in RECIPES if RECIPES[name].structure is Structure.CHANNEL and name != "slimming"]


@pytest.mark.parametrize("recipe", CHANNEL)
@pytest.mark.parametrize("network", [Shuffled, Split])
def test_the_other_channels_go_and_the_rest_is_refused_with_the_reasons(recipe, network):
    parent = network().eval().requires_grad_(requires_grad=False)
    child = prune(parent, recipe, Fraction(1, 10), context()).network
    assert sum(tensor.numel() for tensor in child.parameters()) < sum(tensor.numel() for tensor in parent.parameters())
    assert child(context().example).shape == (4, 10)
    with pytest.raises(
        InfeasibleError, match=r"at most, asked for 90\.0%; elsewhere they stay \(.*the output reads them"
    ):
        prune(parent, recipe, Fraction(9, 10), context())


def test_a_network_whose_channels_all_stay_says_why():
    with pytest.raises(InfeasibleError) as caught:
        prune(Grouped().eval().requires_grad_(requires_grad=False), "l2-inner", Fraction(1, 10), context())
    assert str(caught.value) == (
        "the network has no inner channels that can be removed (a grouped convolution mixes them (2), the output "
        "reads them (1)); choose an unstructured recipe."
    )


class Careful(nn.Module):
    """Looks at its own numbers half way."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.inner = nn.Conv2d(16, 12, 1)
        self.head = nn.Linear(12, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        hidden = self.stem(images).relu()
        if not hidden.isfinite().all():
            raise ArithmeticError
        return self.head(self.inner(hidden).relu().mean(dim=(2, 3)))


def test_a_layer_behind_which_the_network_stumbles_over_marks_stays_whole():
    found = traced_groups(Careful().eval(), context().example)
    assert [group.producer for group in found.groups] == ["inner"]
    assert found.obstacles == {
        "stem": "the network does not run with a channel marked (ArithmeticError)",
        "head": "the output reads them",
    }


class Twice(nn.Module):
    """Runs one layer twice, and adds to another an encoding that depends on no image."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("places", torch.rand(1, 4, 8, 8))
        self.encode = nn.Conv2d(4, 16, 1)
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.twice = nn.Conv2d(16, 16, 1)
        self.inner = nn.Conv2d(16, 12, 1)
        self.head = nn.Linear(12, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        hidden = self.stem(images).relu() + self.encode(self.places)
        hidden = self.twice(self.twice(hidden).relu())
        return self.head(self.inner(hidden).relu().mean(dim=(2, 3)))


def test_layers_that_run_twice_or_are_added_to_what_depends_on_no_image_stay_whole():
    found = traced_groups(Twice().eval(), context().example)
    assert [group.producer for group in found.groups] == ["inner"]
    assert found.obstacles["twice"] == "the layer runs more than once"
    assert found.obstacles["stem"] == found.obstacles["encode"] == "several layers share them, as in a sum"


class Attention(nn.Module):
    """Mixes places, each head in channels of its own."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, places: torch.Tensor) -> torch.Tensor:
        """Return as many places."""
        apart = self.qkv(places).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = apart.unbind(0)
        mixed = (query @ key.transpose(-2, -1)).softmax(dim=-1) @ value
        return self.proj(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attends, then thinks; it remembers how many heads it ordered."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.attend = Attention(width, num_heads)
        self.wide = nn.Linear(width, 24)
        self.narrow = nn.Linear(24, width)

    def forward(self, places: torch.Tensor) -> torch.Tensor:
        """Return as many places."""
        places = places + self.attend(places)
        return places + self.narrow(self.wide(places).relu())


def test_only_the_attention_of_a_block_that_knows_the_number_of_heads_stays_whole():
    network = nn.Sequential(nn.Conv2d(3, 16, 2, 2), nn.Flatten(2), Turned(), Block(16, 4), Turned(), Mean()).eval()
    found = traced_groups(network.append(nn.Linear(16, 10)).eval(), context().example)
    assert [group.producer for group in found.groups] == ["3.wide"]
    assert found.obstacles["3.attend.qkv"] == found.obstacles["3.attend.proj"] == "attention heads are made of them"
    assert [group.producer for group in inner_groups(network, context())] == ["3.wide"]


class Turned(nn.Module):
    """Exchanges places and channels."""

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        """Return them."""
        return given.transpose(1, 2)


class Mean(nn.Module):
    """Averages over places."""

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        """Return one number per channel."""
        return given.mean(dim=2)


class Near(nn.Module):
    """Sets what is near to the mean of its channel to this mean."""

    def __init__(self, width: int, axis: int) -> None:
        super().__init__()
        self.axis = axis
        self.register_buffer("running_mean", torch.linspace(-1, 1, width))
        self.register_buffer("threshold", torch.tensor(0.2))

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        """Return as many numbers."""
        shape = [1] * given.ndim
        shape[self.axis] = -1
        mean = self.running_mean.view(shape)
        return torch.where((given - mean).abs() < self.threshold, mean, given)


class Sparse(nn.Module):
    """Keeps numbers of every channel, of maps and of what comes last, and a norm without scales."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.norm = nn.BatchNorm2d(16, affine=False)
        self.maps = Near(16, 1)
        self.wide = nn.Linear(16, 12)
        self.last = Near(12, -1)
        self.head = nn.Linear(12, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        hidden = self.maps(self.norm(self.stem(images))).relu().permute(0, 2, 3, 1)
        return self.head(self.last(self.wide(hidden)).mean(dim=(1, 2)))


def test_layers_that_keep_numbers_of_every_channel_lose_those_of_the_channels_that_go():
    network = Sparse().eval()
    assert [group.producer for group in inner_groups(network, context())] == ["stem", "wide"]
    plan = slice_plan(inner_groups(network, context()), {"stem": range(0, 16, 3), "wide": (0, 11)})
    child = materialise(network, plan)
    assert child.maps.running_mean.tolist() == network.maps.running_mean[::3].tolist()
    assert child.last.running_mean.tolist() == [-1.0, 1.0]
    assert child.maps.threshold == network.maps.threshold
    assert child.norm.num_features == len(child.norm.running_var) == 6


def test_every_column_of_a_split_a_detour_and_a_concatenation_is_traced_to_its_channel():
    network = Split().eval()
    (stem, detour), obstacles = marked(network)
    assert obstacles == {}
    assert stem["detour.weight", 1].tolist() == list(range(8, 16))
    assert stem["inner.weight", 1].tolist() == [*range(8), *[-1] * 8]
    assert detour["inner.weight", 1].tolist() == [*[-1] * 8, *range(8)]


def marked(network):
    """Return the owners of the places that two layers' channels reach, and what hinders these layers."""
    found = traced_groups(network, context().example)
    owners = {group.producer: group.owners for group in found.groups}
    return [owners["stem"], owners["detour"]], {
        path: says for path, says in found.obstacles.items() if path in {"stem", "detour"}
    }


def test_flattened_maps_lose_all_positions_of_a_channel():
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10)).eval()
    (group,) = inner_groups(network, context())
    plan = slice_plan([group], {"0": (0, 2)})
    assert plan["3.weight"][1] == (*range(36), *range(72, 108))


def test_masked_filters_are_another_function_than_removed_ones_when_batch_norm_shifts():
    parent = build("residual")
    (group,) = inner_groups(parent, context())
    kept = {"first": tuple(range(16))}
    child = materialise(parent, slice_plan([group], kept))
    rows, columns = copy.deepcopy(parent), copy.deepcopy(parent)
    with torch.no_grad():
        rows.first.weight[16:] = 0
        columns.second.weight[:, 16:] = 0
        images = context().example
        assert not torch.allclose(rows(images), child(images), atol=1e-3)
        torch.testing.assert_close(columns(images), child(images), rtol=1e-4, atol=1e-4)
    assert same_function(parent, [group], kept, context().example)


def test_the_proof_fails_if_one_weight_differs():
    parent = build("residual")
    (group,) = inner_groups(parent, context())
    plan = slice_plan([group], {"first": (0, 5, 9)})
    child = materialise(parent, plan)
    prove(parent, child, plan)
    with torch.no_grad():
        child.first.weight[0, 0, 0, 0] += 1e-6
    with pytest.raises(ContractError, match=r"first\.weight"):
        prove(parent, child, plan)


def test_plans_compose():
    state = {"w": torch.arange(30).view(5, 6)}
    first, second = {"w": {0: (0, 2, 4)}}, {"w": {0: (1, 2), 1: (3,)}}
    twice = sliced(sliced(state, first), second)["w"]
    assert torch.equal(sliced(state, compose(first, second))["w"], twice)
    assert twice.tolist() == [[15], [27]]


def test_the_iterative_schedule_reaches_the_share_of_the_parent_by_stages():
    parent = build("residual")
    pruned = prune(parent, "l2-inner", Fraction(3, 5), context(), "iterative")
    total, left = parameters(parent, context().example), parameters(pruned.network, context().example)
    assert left / total == pytest.approx(0.4, abs=0.05)
    shapes = {name: tensor.shape for name, tensor in sliced(parent.state_dict(), pruned.plan).items()}
    assert shapes == {name: tensor.shape for name, tensor in pruned.network.state_dict().items()}


def test_equal_ratio_ranks_by_the_share_within_the_group_and_lets_later_ties_go_first():
    ranks = equal_ratio({"a": torch.tensor([3.0, 1.0]), "b": torch.tensor([2.0, 2.0, 5.0, 2.0])})
    assert ranks["a"].tolist() == [0.75, 0.25]
    assert ranks["b"].tolist() == [0.625, 0.375, 0.875, 0.125]


def test_channels_of_an_unknown_producer_break_the_contract(monkeypatch):
    import dataclasses

    wrong = dataclasses.replace(RECIPES["l2-inner"], decide=lambda *_: Channels({"stem": (0,)}))
    monkeypatch.setattr(RECIPES, "_entries", RECIPES._entries | {"wrong": wrong})
    with pytest.raises(ContractError, match="stem"):
        prune(build("residual"), "wrong", Fraction(1, 2), context())


def test_a_network_without_inner_channels_says_so():
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 10)).eval()
    with pytest.raises(InfeasibleError, match="no inner channels"):
        prune(network, "l2-inner", Fraction(1, 2), context())


def test_removed_channels_count_as_zeros_of_the_parent():
    parent = build("residual")
    measured = prune(parent, "l2-inner", Fraction(1, 2), context()).measured
    layer = next(layer for layer in measured.layers if layer.name == "first.weight")
    kept = measured.prunable - measured.zeros
    assert layer.shape == (32, 16, 3, 3)
    assert 0 < layer.zeros < layer.weights
    assert kept < measured.prunable / 2 + 2 * 16 * 9

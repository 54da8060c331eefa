import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from bench.errors import ArtefactError, UsageError
from bench.models.folding import fold, hydra_mask, weight_norm

W = torch.tensor([[1.0, -2.0], [3.0, float("inf")]])


@pytest.mark.parametrize(
    ("pieces", "name"),
    [
        ({"a.weight_orig": W, "a.weight_mask": torch.tensor([[1.0, 0], [1, 0]])}, "a.weight"),
        ({"a.weight": W, "a.weight_mask": torch.tensor([[True, False], [True, False]])}, "a.weight"),
        ({"a.weight": W, "a.mask": torch.tensor([[1, 0], [1, 0]])}, "a.weight"),
        ({"bias_orig": W, "bias_mask": torch.tensor([[1.0, 0], [1, 0]])}, "bias"),
        (
            {"parametrizations.weight.original": W, "parametrizations.weight.0.mask": torch.tensor([[1, 0], [1, 0]])},
            "weight",
        ),
    ],
)
def test_what_a_mask_removes_is_a_positive_zero_whatever_stood_there(pieces, name):
    found, told = fold({"first": torch.ones(1), **pieces, "last": torch.ones(1)})
    assert list(found) == ["first", name, "last"]
    assert torch.equal(found[name], torch.tensor([[1.0, 0.0], [3.0, 0.0]]))
    assert not torch.signbit(found[name]).any()
    assert told == ["masks folded into 1 tensor", "masks leave 2 of 4 numbers"]


@pytest.mark.parametrize(
    ("pieces", "says"),
    [
        ({"weight_orig": W, "weight_mask": torch.full((2, 2), 0.5)}, "should hold zeros and ones alone"),
        ({"weight_orig": W, "weight_mask": torch.ones(3)}, r"a mask of shape \(3,\) do not go with it"),
        ({"weight_orig": W}, "'weight_orig' stands without what it is multiplied by"),
        ({"weight": W, "weight_orig": W, "weight_mask": torch.ones(2, 2)}, "'weight' stands beside 'weight_orig'"),
        ({"weight_g": torch.ones(3, 1), "weight_v": W}, r"lengths of shape \(3, 1\) do not go"),
        ({"weight_orig": W, "weight_u": torch.ones(2), "weight_v": torch.ones(3)}, "vectors of lengths 2 and 3"),
        ({"parametrizations.weight.original": W}, "the file holds original alone, not what they compute"),
        ({"a.popup_scores": W, "a.weight": W, "a.k_score": torch.ones(1)}, "gives every layer a rate of its own"),
        ({"a.popup_scores": W}, r"'a\.popup_scores' stands without 'a\.weight'"),
    ],
)
def test_pieces_that_do_not_say_what_they_compute_are_refused(pieces, says):
    with pytest.raises(ArtefactError, match=says):
        fold(pieces, 0.5 if "a.popup_scores" in pieces else None)


def test_a_parametrisation_of_ones_own_is_refused():
    class Doubled(nn.Module):
        def forward(self, weight):
            return 2 * weight

    layer = nn.Linear(2, 2)
    parametrize.register_parametrization(layer, "weight", Doubled())
    with pytest.raises(ArtefactError, match="remove_parametrizations"):
        fold(layer.state_dict())
    layer = parametrizations.orthogonal(nn.Linear(2, 2))
    with pytest.raises(ArtefactError, match=r"'weight' is parametrised, and the file holds 0\.base, original alone"):
        fold(layer.state_dict())


@pytest.mark.parametrize("dim", [0, 1, 3, None])
def test_weight_norm_is_read_from_the_shape_of_its_lengths(dim):
    layer = parametrizations.weight_norm(nn.Conv2d(3, 5, 2), dim=dim)
    with torch.no_grad():
        layer.parametrizations.weight.original0.mul_(3)
    found, told = fold(layer.state_dict())
    torch.testing.assert_close(found["weight"], layer.weight.detach())
    assert told == ["weight norm folded into 1 tensor"]
    torch.testing.assert_close(
        weight_norm("w", torch.full((1, 1), 5.0), torch.tensor([[3.0, 4.0]])), torch.tensor([[3.0, 4]])
    )


def test_buffers_that_only_sound_like_pieces_stay():
    state = {"attn_mask": W, "mask_token": W, "gamma_g": W, "lin_v": W, "layers.0.attn_mask": torch.ones(3)}
    state |= {"a.weight": W, "a.mask": torch.ones(1, 1, 2, 2)}
    found, told = fold(state)
    assert found == state
    assert told == []


def test_pruning_leaves_what_other_layers_hold_alone():
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    prune.random_unstructured(network[2], "weight", 3)
    prune.l1_unstructured(network[2], "bias", 1)
    found, told = fold(network.state_dict())
    assert set(found) == {*nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).state_dict()}
    assert int((found["2.weight"] == 0).sum()) == 3
    assert told[1] == "masks leave 6 of 10 numbers"


def test_hydra_rounds_as_hydra_does():
    scores = torch.arange(1.0, 31)
    for kept in (0.1, 0.5, 0.99, 1.0):
        mask = hydra_mask("w", scores[torch.randperm(30, generator=torch.Generator().manual_seed(0))], kept)
        assert int((mask == 0).sum()) == int((1 - kept) * 30)
    assert int((1 - 0.9) * 30) == 2, "not 3: the share is a binary fraction, there as here"
    assert torch.equal(hydra_mask("w", torch.tensor([-3.0, 1, -2, 4]), 0.5), torch.tensor([1.0, 0, 0, 1]))


def test_scores_that_leave_a_choice_and_shares_that_are_none_are_refused():
    with pytest.raises(ArtefactError, match="scores that are equal stand on both sides of the cut"):
        hydra_mask("w", torch.tensor([1.0, 2, 2, 3]), 0.5)
    assert int(hydra_mask("w", torch.tensor([1.0, 2, 2, 3]), 0.25).sum()) == 1
    for kept in (0.0, -1.0, 1.5):
        with pytest.raises(UsageError, match="--kept is a share above 0 and at most 1"):
            hydra_mask("w", torch.ones(4), kept)
    with pytest.raises(UsageError, match="this file has none; leave it out"):
        fold({"weight": W}, 0.5)
    with pytest.raises(UsageError, match="1 layers hold popup_scores, which do not say how many weights"):
        fold({"a.weight": W, "a.popup_scores": W})

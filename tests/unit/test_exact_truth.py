"""The programs that find the truth answer as the network does, and the page says what they found."""

import json
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from bench.errors import ContractError
from bench.models.source import Normalised
from bench.submission.files import read_result
from tests.benchmarks import exact_truth
from tests.benchmarks.exact_truth import Layers, Program, bounds, box, rounded, truth

NUMBERS = json.loads(exact_truth.KEPT.read_bytes())
NETWORKS = pytest.mark.parametrize("mine", NUMBERS["networks"], ids=lambda mine: mine["entry"])


def test_the_page_shows_what_was_found():
    assert exact_truth.PAGE.read_text("utf-8") == exact_truth.page(NUMBERS)


@NETWORKS
def test_verdicts_and_witnesses_fit_together(mine, root):
    entry = root / "submissions" / "digits-v1" / mine["entry"]
    result = read_result(entry / "result.json")
    assert mine["weights_sha256"] == result.model.weights_sha256
    pairs = list(zip(mine["verdicts"], mine["best_known"], strict=True))
    assert len(pairs) == result.data.points
    assert mine["verdicts"].count("m") == result.data.points - result.clean.correct
    assert set(mine["verdicts"]) <= set("rbum")
    assert ("r", "-") not in pairs
    assert ("m", "+") not in pairs
    assert pairs.count(("b", "+")) == len(mine["missed"])
    (linf,) = [threat for threat in result.threats if threat.norm == "Linf"]
    assert (mine["cascade"], mine["best_known"].count("+")) == (linf.robust, linf.best_known)
    assert mine["verdicts"].count("r") <= linf.best_known <= linf.robust <= mine["first"]["leaves"]


def test_two_points_are_found_again():
    """One that stands, and one that the cascade did not break."""
    (mine,) = [mine for mine in NUMBERS["networks"] if mine["entry"].endswith("global-50")]
    cell = exact_truth.cell_of("magnitude-global", Fraction(1, 2))
    assert cell.digest == mine["weights_sha256"]
    network, images, labels = cell.pruned.network, cell.points.images(), cell.points.label_tensor()
    layers = Layers.of(network, images[:20])
    missed = mine["missed"][0]
    for point, letter in ((0, "r"), (missed["id"], "b")):
        found = truth(network, layers, images[point : point + 1], int(labels[point]), exact_truth.THREAT)
        assert (found.truth[0], mine["verdicts"][point]) == (letter, letter)
    assert (found.winner, found.lead) == (missed["winner"], pytest.approx(missed["lead"], abs=1e-6))
    assert found.size <= 0.1 * (1 + 1e-5)


def chain(seed, *sizes):
    generator = torch.Generator().manual_seed(seed)
    modules = []
    for before, after in pairwise(sizes):
        layer = nn.Linear(before, after)
        layer.weight.data = torch.randn(after, before, generator=generator) / before**0.5
        layer.bias.data = torch.randn(after, generator=generator) / 4
        modules += [layer, nn.ReLU()]
    return Normalised(nn.Sequential(nn.Flatten(), *modules[:-1]), (0.4,), (0.3,)).requires_grad_(requires_grad=False)


@pytest.mark.parametrize("seed", range(6))
def test_a_program_is_never_outdone_by_any_image_of_its_box(seed):
    network, draw = chain(seed, 4, 6, 5, 3), np.random.default_rng(seed)
    images = torch.from_numpy(draw.uniform(size=(8, 1, 2, 2))).float()
    layers, ends = Layers.of(network, images), box(images[:1], 0.3)
    tried = draw.uniform(*ends, size=(20_000, 4))
    corners = np.array(np.meshgrid(*zip(*ends, strict=True))).reshape(4, -1).T
    answers = np.stack([layers.logits(image) for image in np.concatenate([tried, corners])])
    label, met = int(layers.logits(images[0].flatten().double().numpy()).argmax()), 0
    for winner in {0, 1, 2} - {label}:
        best = float((answers[:, winner] - answers[:, label]).max())
        found = Program(layers, *ends).beats(winner, label)
        if found is None:
            assert best < -exact_truth.MARGIN
            continue
        won = layers.logits(found)
        assert won[winner] - won[label] >= best - 1e-6
        assert ((found >= ends[0] - 1e-9) & (found <= ends[1] + 1e-9)).all()
        met += 1
    assert met or seed


def test_networks_that_are_no_chain_are_refused():
    class Odd(nn.Sequential):
        def forward(self, images):
            return super().forward(images) ** 2

    images = torch.rand(4, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ContractError, match="no chain"):
        Layers.of(
            Normalised(Odd(nn.Flatten(), nn.Linear(4, 3)), (0.0,), (1.0,)).requires_grad_(requires_grad=False), images
        )


def test_bounds_of_a_layer_are_met_at_corners():
    weight, bias = np.array([[1.0, -2.0]]), np.array([0.5])
    low, high = bounds(weight, bias, np.array([0.0, 0.25]), np.array([1.0, 0.5]))
    assert (low.tolist(), high.tolist()) == ([-0.5], [1.0])


def test_a_rounded_image_stays_in_its_box():
    draw = np.random.default_rng(0)
    low, high = draw.uniform(0, 0.5, 5000), draw.uniform(0.5, 1, 5000)
    for found in (low, high, (low + high) / 2):
        image = rounded(found, low, high)
        assert image.dtype == np.float32
        assert ((image >= low) & (image <= high)).all()
        assert np.abs(image - found).max() < 1e-7

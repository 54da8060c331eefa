"""A network is timed on one batch that takes no longer than a few seconds."""

from fractions import Fraction

import pytest
import torch
from torch import nn

from bench.attacks.attack import Passes
from bench.errors import ContractError
from bench.evaluation.conduct import pace as module
from bench.evaluation.conduct.pace import Pace, pace
from bench.models.source import LoadedModel, ModelRef

REF = ModelRef.parse("embedded:digits-tiny-linf")
IMAGES = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))


class Slow(nn.Module):
    """Takes seconds of its own clock for every image, twice as many on the way back, and so much memory."""

    def __init__(self, seconds=Fraction(1, 100), room=1000):
        super().__init__()
        self.layer, self.seconds, self.room, self.now, self.asked = nn.Linear(16, 10), seconds, room, 0.0, []
        self.requires_grad_(requires_grad=False).eval()

    def forward(self, images):
        if len(images) > self.room:
            raise torch.OutOfMemoryError("no room")
        self.asked.append(len(images))
        self.now += float(self.seconds * len(images))
        logits = self.layer(images.flatten(1))
        if logits.requires_grad:
            logits.register_hook(self._back)
        return logits

    def _back(self, gradient):
        self.now += 2 * float(self.seconds * len(gradient))


def timed(monkeypatch, network, batch=None) -> Pace:
    monkeypatch.setattr(module, "_moment", lambda _: network.now)
    return pace(LoadedModel(REF, network, "slow", (1, 4, 4), 10, digest=""), IMAGES, batch)


def test_both_ways_are_timed_on_one_batch_of_the_size_that_attacks_have(monkeypatch):
    network = Slow()
    found = timed(monkeypatch, network, batch=64)
    assert (found.batch, network.asked[-1], network.asked.count(64)) == (64, 64, 1)
    assert found.forward == pytest.approx(0.01)
    assert found.backward == pytest.approx(0.02)
    assert found.seconds(Passes(100, 50)) == pytest.approx(2.0)


@pytest.mark.parametrize(("seconds", "batch"), [(Fraction(1, 10), 9), (Fraction(2), 1)])
def test_a_heavy_network_is_timed_on_fewer_images(monkeypatch, seconds, batch):
    """Three seconds are there for passes that take three tenths, or six, per image."""
    assert timed(monkeypatch, Slow(seconds), batch=64).batch == batch


def test_a_batch_that_finds_no_room_is_halved(monkeypatch):
    assert timed(monkeypatch, Slow(Fraction(1, 1000), room=20), batch=64).batch == 16


def test_a_network_without_room_for_one_image_is_refused(monkeypatch):
    with pytest.raises(ContractError, match="OutOfMemoryError: no room"):
        timed(monkeypatch, Slow(room=0))


def test_a_network_that_answers_nan_gives_no_time(monkeypatch):
    network = Slow()
    network.layer.bias.fill_(torch.nan)
    with pytest.raises(ContractError, match="NaN or infinite logits"):
        timed(monkeypatch, network)

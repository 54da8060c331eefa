"""Parts of a batch, side by side."""

import threading

import pytest
import torch
from torch import nn

from bench.pruning.adversary import pgd
from bench.pruning.gradients import clean_gradients
from bench.pruning.masks import prunable
from bench.pruning.parts import parts_of, side_by_side
from bench.threats import Norm, ThreatModel, exact
from tests.support.pruning_networks import build, context


@pytest.fixture(autouse=True)
def threads():
    """Give every test the number of threads that it found."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Notes(nn.Module):
    """A network that keeps notes of its last pass, as some of this field do."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.together = threading.Barrier(2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the images after another thread has been here, too."""
        self.note = images
        self.together.wait(timeout=20)
        return self.note * self.weight

    def __deepcopy__(self, memo):
        replica = Notes()
        replica.weight, replica.together = memo[id(self.weight)], self.together
        return replica


def test_parts_hold_every_image_once():
    assert parts_of(7, 3) == [slice(0, 3), slice(3, 6), slice(6, 9)]
    assert parts_of(6, 3) == [slice(0, 3), slice(3, 6)]
    assert parts_of(0, 3) == []


def test_two_threads_work_at_once_and_none_sees_the_notes_of_the_other():
    torch.set_num_threads(2)
    images = torch.arange(8.0)
    found = list(side_by_side(Notes().eval(), lambda replica, rows: replica(images[rows]), parts_of(8, 2)))
    assert torch.equal(torch.cat(found), images)
    assert torch.get_num_threads() == 2


def test_the_threads_of_the_processor_are_shared_out_and_given_back():
    torch.set_num_threads(4)
    network = nn.Linear(1, 1).eval()
    assert list(side_by_side(network, lambda *_: torch.get_num_threads(), parts_of(2, 1))) == [2, 2]
    assert list(side_by_side(network.train(), lambda *_: torch.get_num_threads(), parts_of(2, 1))) == [4, 4]
    with pytest.raises(ZeroDivisionError):
        list(side_by_side(network.eval(), lambda *_: 1 / 0, parts_of(2, 1)))
    assert torch.get_num_threads() == 4


def test_replicas_share_the_tensors_of_their_network():
    torch.set_num_threads(2)
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)).eval()
    mine = {tensor.data_ptr() for tensor in network.state_dict().values()}
    for theirs in side_by_side(
        network, lambda replica, _: {t.data_ptr() for t in replica.state_dict().values()}, parts_of(2, 1)
    ):
        assert theirs == mine


def test_images_and_gradients_do_not_depend_on_the_number_of_threads():
    network, given = build("residual"), context(points=80)
    weights = prunable(network, given.example)
    images, labels = given.calibration
    threat = ThreatModel(Norm.LINF, exact("8/255"))
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        moved = pgd(network.eval(), images, labels, threat, steps=3, seed=0, purpose="test")
        found.append((moved, clean_gradients(network, weights, given, "test")))
    (one, first), (two, second) = found
    assert torch.equal(one, two)
    assert all(torch.equal(first[name], second[name]) for name in weights)

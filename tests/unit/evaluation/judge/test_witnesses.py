"""Witnesses come back to the bit, from memory or from a file, and their memory does not grow with the points."""

import tracemalloc

import pytest
import torch

from bench.errors import BenchError
from bench.evaluation.judge import witnesses as module
from bench.evaluation.judge.witnesses import Witnesses
from bench.threats import Norm

SHAPE = (3, 8, 8)


def drawn(count, seed=0):
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("held", [2**26, 1])
def test_a_nearer_witness_takes_the_place_of_the_last(monkeypatch, held):
    monkeypatch.setattr(module, "_IN_MEMORY", held)
    kept, first, second = Witnesses(SHAPE, torch.device("cpu")), drawn(4), drawn(2, seed=1)
    kept.put(Norm.L2, torch.tensor([7, 3, 0, 5]), first)
    kept.put(Norm.L2, torch.tensor([0, 7]), second)
    kept.put(Norm.L0, torch.tensor([0]), first[:1])
    assert torch.equal(
        kept.get(Norm.L2, torch.tensor([0, 3, 5, 7])), torch.stack([*second[:1], *first[[1, 3]], second[1]])
    )
    assert torch.equal(kept.get(Norm.L0, torch.tensor([0])), first[:1])
    assert kept.get(Norm.LINF, torch.tensor([], dtype=torch.int64)).shape == (0, *SHAPE)


def test_images_in_any_memory_format_are_kept():
    kept, images = Witnesses(SHAPE, torch.device("cpu")), drawn(2).contiguous(memory_format=torch.channels_last)
    kept.put(Norm.L2, torch.tensor([0, 1]), images)
    assert torch.equal(kept.get(Norm.L2, torch.tensor([1, 0])), images.flip(0))


def test_many_witnesses_lie_on_disk(monkeypatch):
    monkeypatch.setattr(module, "_IN_MEMORY", 2**20)
    images, kept = torch.rand(8, 3, 224, 224), Witnesses((3, 224, 224), torch.device("cpu"))
    tracemalloc.start()
    for first in range(0, 80, 8):
        kept.put(Norm.LINF, torch.arange(first, first + 8), images)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * 2**20, "48 MB of witnesses"
    assert torch.equal(kept.get(Norm.LINF, torch.tensor([79])), images[7:])


def test_a_full_disk_says_where_room_is_lacking():
    class Full:
        def seek(self, _):
            return 0

        def write(self, _):
            raise OSError(28, "No space left on device")

        def close(self):
            pass

    kept = object.__new__(Witnesses)
    kept.shape, kept.device, kept._file, kept._places = SHAPE, torch.device("cpu"), Full(), {}
    with pytest.raises(BenchError, match=r"No space left on device.*set TMPDIR"):
        kept.put(Norm.L2, torch.tensor([0]), drawn(1))

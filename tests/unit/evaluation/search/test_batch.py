"""How many points are attacked at once."""

import pytest
import torch
from torch import nn

from bench.errors import UsageError
from bench.evaluation.search.batch import Footprint, automatic_batch, bytes_of, footprint, room_on

CIFAR, DIGITS, IMAGENET = 3 * 32 * 32, 8 * 8, 3 * 224 * 224
CPU, CUDA = torch.device("cpu"), torch.device("cuda")
RESNET50 = Footprint(4_100_000_000, IMAGENET, 86_000_000, 3_211_264)
"""As ``footprint`` measures timm's."""


@pytest.mark.parametrize(
    ("macs", "numbers", "largest", "processor", "accelerator"),
    [
        (100_000, DIGITS, 4_000, 512, 512),
        (1_000_000, CIFAR, 65_000, 65, 512),
        (556_000_000, CIFAR, 262_144, 32, 512),
        (5_250_000_000, CIFAR, 655_360, 32, 76),
        (4_100_000_000, IMAGENET, 3_211_264, 10, 97),
        (385_000_000, IMAGENET, 4_816_896, 6, 512),
        (4_100_000_000, IMAGENET, 50_000_000, 1, 97),
        (0, CIFAR, 0, 65, 512),
    ],
)
def test_small_batches_stay_in_a_cache_and_large_ones_fill_an_accelerator(
    macs, numbers, largest, processor, accelerator
):
    one = Footprint(macs, numbers, 10 * largest, largest)
    assert automatic_batch(one, CPU) == processor
    assert automatic_batch(one, CUDA) == accelerator


def test_batches_fit_into_the_memory_there_is():
    assert automatic_batch(RESNET50, CUDA, 8 * 2**30) == 84
    assert automatic_batch(RESNET50, CUDA, RESNET50.bytes) == 1
    assert automatic_batch(RESNET50, CPU, 3 * RESNET50.bytes) == 3
    with pytest.raises(UsageError, match=r"takes 0\.10 GiB while it is attacked, and 0\.09 GiB are left"):
        automatic_batch(RESNET50, CUDA, RESNET50.bytes - 2**20)


def test_a_processor_counts_its_memory_where_it_is_told_to():
    assert room_on(CPU, None, besides=0) is None
    here = room_on(CPU, 2**40, besides=0)
    assert here is not None
    assert 0.7 * 2**40 < here < 0.8 * 2**40
    beside = room_on(CPU, 2**40, besides=2**38)
    assert beside == pytest.approx(here - 0.8 * 2**38, rel=0.01)


def test_what_waits_for_the_gradient_is_counted_once_and_weights_are_not():
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16 * 16, 10))
    network.requires_grad_(requires_grad=False)
    found = footprint(network, torch.rand(1, 3, 16, 16))
    assert found.numbers == 3 * 16 * 16
    assert found.macs == 3 * 8 * 9 * 16 * 16 + 8 * 16 * 16 * 10
    after = 4 * 8 * 16 * 16
    assert (found.kept, found.largest) == (4 * found.numbers + after, after), "the image and what the ReLU gives"


@pytest.mark.parametrize("given", [0.0, -1.0, float("nan"), float("inf")])
def test_a_limit_of_memory_is_a_number_above_zero(given):
    with pytest.raises(UsageError, match="a number of gibibytes above 0"):
        bytes_of(given)


def test_a_limit_of_memory_is_read_in_gibibytes():
    assert bytes_of(None) is None
    assert bytes_of(1.5) == 3 * 2**29

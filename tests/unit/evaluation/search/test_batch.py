"""How many points are attacked at once."""

import pytest
import torch

from bench.evaluation.search.batch import automatic_batch

CIFAR, DIGITS, IMAGENET = 3 * 32 * 32, 8 * 8, 3 * 224 * 224


@pytest.mark.parametrize(
    ("macs", "numbers", "processor", "accelerator"),
    [
        (100_000, DIGITS, 512, 512),
        (1_000_000, CIFAR, 65, 512),
        (556_000_000, CIFAR, 32, 512),
        (5_250_000_000, CIFAR, 32, 76),
        (4_100_000_000, IMAGENET, 16, 97),
        (0, CIFAR, 65, 512),
    ],
)
def test_small_batches_stay_in_a_cache_and_large_ones_fill_an_accelerator(macs, numbers, processor, accelerator):
    assert automatic_batch(macs, numbers, torch.device("cpu")) == processor
    assert automatic_batch(macs, numbers, torch.device("cuda")) == accelerator

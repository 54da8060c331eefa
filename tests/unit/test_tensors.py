"""How many images are passed at once hangs on their size alone."""

import pytest
import torch

from bench.tensors import portion


@pytest.mark.parametrize(
    ("shape", "most", "expected"),
    [
        ((1, 8, 8), 250, 250),
        ((3, 32, 32), 512, 292),
        ((3, 224, 224), 250, 5),
        ((3, 224, 224), 4, 4),
        ((3, 2000, 2000), 250, 1),
    ],
)
def test_large_images_are_passed_a_few_at_a_time(shape, most, expected):
    assert portion(torch.empty(0, *shape), most) == expected


def test_an_accelerator_takes_more_of_them():
    assert portion(torch.empty(0, 3, 32, 32, device="meta"), 512) == 512
    assert portion(torch.empty(0, 3, 224, 224, device="meta"), 250) == 33

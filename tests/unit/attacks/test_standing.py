from typing import NamedTuple

import torch

from bench.attacks.standing import Compaction, select


class Pair(NamedTuple):
    number: torch.Tensor
    image: torch.Tensor


def test_rows_are_selected_in_every_field_alike():
    state = Pair(torch.arange(4), torch.arange(8.0).view(4, 2))
    kept = select(state, torch.tensor([True, False, False, True]))
    assert kept.number.tolist() == [0, 3]
    assert kept.image.tolist() == [[0, 1], [6, 7]]


def test_a_sixteenth_of_idle_rows_is_worth_dropping_and_less_is_not():
    compaction = Compaction(torch.zeros(32, dtype=torch.bool))
    fallen = torch.zeros(32, dtype=torch.bool)
    assert not compaction.due(fallen, 0)
    fallen[0] = True
    assert not compaction.due(fallen, 0)
    fallen[1] = True
    assert compaction.due(fallen, 0)

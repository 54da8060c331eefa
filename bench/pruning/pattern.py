"""Which pattern the zeros of a network make, told from its tensors and those of its parent."""

from torch import nn

from bench.pruning.blocks import KEPT, blocks, eligible, violations
from bench.pruning.masks import prunable
from bench.pruning.measure import Measured
from bench.pruning.recipe import Structure
from bench.tensors import Images


def pattern(parent: nn.Module, network: nn.Module, measured: Measured, example: Images) -> Structure:
    """Return the structure that a network was pruned to.

    Channels are gone where a tensor is smaller than the parent's. Two of four is where every block of every eligible
    layer keeps exactly two, as pruning to it does; sparser zeros that merely fit are unstructured.
    """
    if measured.removed:
        return Structure.CHANNEL
    before = sum(int((weight == 0).sum()) for weight in prunable(parent, example).values())
    if measured.zeros <= before:
        return Structure.DENSE
    return Structure.TWO_OF_FOUR if fits_two_of_four(network, example, full=True) else Structure.UNSTRUCTURED


def fits_two_of_four(network: nn.Module, example: Images, *, full: bool = False) -> bool:
    """Tell whether no block keeps more than two weights; with ``full``, whether each keeps two."""
    layers = [weight for weight in prunable(network, example).values() if eligible(weight)]
    if not layers or any(violations(weight) for weight in layers):
        return False
    return not full or all(int((weight != 0).sum()) == KEPT * len(blocks(weight)) for weight in layers)

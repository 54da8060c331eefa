"""Which pattern the zeros of a network make, told from its tensors and those of its parent."""

from torch import nn

from bench.pruning.blocks import BLOCK, KEPT, blocks, eligible, violations
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


def why_not(claimed: str, network: nn.Module, example: Images) -> str:
    """Return in a sentence what of a network speaks against a structure that is claimed of it."""
    if claimed == Structure.CHANNEL:
        return (
            f"No channel is removed: every tensor has its parent's shape ({_silent(network)} channels are all zeros). "
            "Cut the network down; masked channels still pass a shift on."
        )
    if claimed != Structure.TWO_OF_FOUR:
        return "Some of its tensors are smaller than its parent's."
    broken, total = broken_blocks(network, example)
    if not total:
        return "No layer is eligible for it: none has a multiple of 8 rows and of 16 input channels."
    return f"{broken:,} of {total:,} blocks of {BLOCK} neighbouring input channels hold more than two weights."


def broken_blocks(network: nn.Module, example: Images) -> tuple[int, int]:
    """Return how many blocks hold more than two weights, and how many there are in eligible layers."""
    layers = [weight for weight in prunable(network, example).values() if eligible(weight)]
    return sum(map(violations, layers)), sum(len(blocks(weight)) for weight in layers)


def _silent(network: nn.Module) -> int:
    weights = (module.weight for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear))
    return sum(int((weight.detach() == 0).flatten(1).all(dim=1).sum()) for weight in weights)

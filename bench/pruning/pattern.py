"""Which pattern the zeros of a network make, told from its tensors and those of its parent."""

from fractions import Fraction

from torch import nn

from bench.pruning.blocks import BLOCK, KEPT, blocks, eligible, violations
from bench.pruning.masks import prunable
from bench.pruning.measure import Measured
from bench.pruning.recipe import Structure
from bench.tensors import Images

_STRAY, _SHARE = Fraction(1, 20), Fraction(1, 200)
"""Of all zeros, and of the prunable weights: how many may lie outside of the pattern that they are said to make."""


def pattern(parent: nn.Module, network: nn.Module, measured: Measured, example: Images) -> Structure:
    """Return the structure that a network was pruned to.

    Channels are gone where a tensor is smaller than the parent's. Two of four is where every block of every eligible
    layer keeps exactly two, as pruning to it does; sparser zeros that merely fit are unstructured. So is what keeps a
    pattern with a small part of its zeros only.
    """
    before = sum(zeros_of(parent, example).values())
    if not measured.removed and measured.zeros <= before:
        return Structure.DENSE
    fits = measured.removed or fits_two_of_four(network, example, full=True)
    likely = Structure.CHANNEL if measured.removed else Structure.TWO_OF_FOUR
    return likely if fits and explains(likely, parent, network, measured, example) else Structure.UNSTRUCTURED


def zeros_of(network: nn.Module, example: Images) -> dict[str, int]:
    """Return how many weights of each prunable layer are exactly zero."""
    return {name: int((weight == 0).sum()) for name, weight in prunable(network, example).items()}


def explains(structure: Structure, parent: nn.Module, network: nn.Module, measured: Measured, example: Images) -> bool:
    """Tell whether zeros lie in a pattern, but for a few, and those that the parent had.

    They lie in removed channels, or in the blocks of layers that are eligible for two of four.
    """
    left = max(0, stray(structure, network, measured) - sum(zeros_of(parent, example).values()))
    return left <= min(_SHARE * measured.prunable, _STRAY * measured.zeros)


def stray(structure: str, network: nn.Module, measured: Measured) -> int:
    """Return how many zeros removed channels do not explain, or blocks of two in four."""
    own, found = dict(network.named_parameters()), 0
    for layer in measured.layers:
        weight = own[layer.name].detach()
        in_place = int((weight == 0).sum())
        if structure == Structure.CHANNEL:
            found += in_place
        else:
            found += layer.zeros - (in_place if eligible(weight) else 0)
    return found


def fits_two_of_four(network: nn.Module, example: Images, *, full: bool = False) -> bool:
    """Tell whether no block keeps more than two weights; with ``full``, whether each keeps two."""
    layers = [weight for weight in prunable(network, example).values() if eligible(weight)]
    if not layers or any(violations(weight) for weight in layers):
        return False
    return not full or all(int((weight != 0).sum()) == KEPT * len(blocks(weight)) for weight in layers)


def why_not(claimed: str, network: nn.Module, measured: Measured, example: Images) -> str:
    """Return in a sentence what of a network speaks against a structure that is claimed of it."""
    if claimed == Structure.CHANNEL and measured.removed:
        return (
            f"Only {measured.zeros - stray(claimed, network, measured):,} of {measured.zeros:,} zeros are those of "
            "removed channels; the others stand in channels that are still there."
        )
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
    if not broken:
        return (
            f"Only {measured.zeros - stray(claimed, network, measured):,} of {measured.zeros:,} zeros lie in blocks of "
            f"{BLOCK} that keep two; the others are removed channels, or in layers that are not eligible for it."
        )
    return f"{broken:,} of {total:,} blocks of {BLOCK} neighbouring input channels hold more than two weights."


def broken_blocks(network: nn.Module, example: Images) -> tuple[int, int]:
    """Return how many blocks hold more than two weights, and how many there are in eligible layers."""
    layers = [weight for weight in prunable(network, example).values() if eligible(weight)]
    return sum(map(violations, layers)), sum(len(blocks(weight)) for weight in layers)


def _silent(network: nn.Module) -> int:
    weights = (module.weight for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear))
    return sum(int((weight.detach() == 0).flatten(1).all(dim=1).sum()) for weight in weights)

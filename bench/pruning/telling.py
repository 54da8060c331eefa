"""What a pruned network is told to its owner in words: whether the target was met, and whether it became faster."""

from torch import nn

from bench.pruning.blocks import eligible
from bench.pruning.masks import chosen_weights
from bench.pruning.prune import Pruned
from bench.pruning.recipe import Context, Recipe, Structure
from bench.pruning.structure import parameters


def reached(recipe: Recipe, parent: nn.Module, pruned: Pruned, context: Context) -> str:
    """Say what was asked for and what came out, with the reason for a difference."""
    measured, target = pruned.measured, pruned.target
    match recipe.structure:
        case Structure.UNSTRUCTURED if target is not None:
            exact = "exactly" if measured.zeros == target * measured.prunable else "the nearest whole number of weights"
            return (
                f"Asked for {float(target):.2%} zeros and reached {measured.zeros / measured.prunable:.2%}, {exact}: "
                f"{measured.zeros:,} of {measured.prunable:,}."
            )
        case Structure.CHANNEL if target is not None:
            total, left = parameters(parent, context.example), parameters(pruned.network, context.example)
            return (
                f"Asked to remove {float(target):.2%} of the parameters and removed {1 - left / total:.2%}, "
                f"{total - left:,} of {total:,}: whole channels come no nearer."
            )
        case Structure.TWO_OF_FOUR:
            able = {name: weight for name, weight in chosen_weights(parent, context).items() if eligible(weight)}
            dense = [layer.name for layer in measured.layers if layer.name not in able]
            whole = f"; dense stay {', '.join(dense)}" if dense else ""
            return (
                f"Half of the weights of {len(able)} eligible layers are zero, "
                f"{measured.zeros / measured.prunable:.2%} of all prunable ones{whole}."
            )
        case _:
            return f"Nothing was removed; {measured.zeros:,} of {measured.prunable:,} prunable weights are zero."


def faster(structure: Structure, ratio: float | None) -> str:
    """Say whether a pruned network is faster.

    Args:
        structure: of the recipe.
        ratio: seconds of a forward pass over those of the parent, where they were measured.
    """
    match structure:
        case Structure.CHANNEL if ratio is not None:
            return f"Is it faster? A forward pass takes {ratio:.2f} of its parent's time on this machine."
        case Structure.UNSTRUCTURED:
            return (
                "Is it faster? No: kernels for dense tensors multiply by zeros as by any number, "
                "so zeros in place save memory when packed, and no time."
            )
        case Structure.TWO_OF_FOUR:
            return (
                "Is it faster? Not as it stands: only sparse tensor cores of recent accelerators, in half precision "
                "and with the weights packed for them, skip two weights of four."
            )
        case _:
            return "Is it faster? No: it has as many channels as its parent."

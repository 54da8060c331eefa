"""Which weights may be pruned, which are kept, and how a mask is applied."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.func import functional_call
from torch.nn.utils import parametrize

from bench.errors import ContractError, InfeasibleError, UsageError
from bench.pruning.recipe import Context, Masks
from bench.registry import unknown
from bench.tensors import Images

ATTENTION = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
"""Projections that torch's attention keeps outside of any Linear."""

SAMPLE = 1 << 14
"""Scores that tell where, about, the smallest end."""


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put every module into evaluation mode and back."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def reached(network: nn.Module, example: Images) -> frozenset[str]:
    """Return the names of the parameters that a forward pass reaches.

    The autograd graph of one image is walked from the logits to its leaves; a block that is built and never executed,
    as in many WideResNets of this field, has no leaf there.
    """
    refuse_reparametrised(network)
    leaves = {name: parameter.detach().requires_grad_() for name, parameter in network.named_parameters()}
    with evaluating(network), torch.enable_grad():
        logits = functional_call(network, leaves, (example[:1],))
    names = {id(leaf): name for name, leaf in leaves.items()}
    found: set[str] = set()
    seen: set[Node] = set()
    waiting: list[Node | None] = [logits.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if variable is not None and id(variable) in names:
            found.add(names[id(variable)])
        waiting.extend(before for before, _ in node.next_functions)
    if not found:
        raise ContractError("no parameter is reached by a forward pass; the network's output does not depend on it.")
    return frozenset(found)


def prunable(network: nn.Module, example: Images) -> dict[str, Tensor]:
    """Return the weights of Conv2d, Linear and attention projections that a forward pass reaches, in module order.

    A weight that two modules share is named once. The tensors are detached views of the network's own.
    """
    alive = reached(network, example)
    weights: dict[str, Tensor] = {}
    for path, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            names: tuple[str, ...] = ("weight",)
        elif isinstance(module, nn.MultiheadAttention):
            names = ATTENTION
        else:
            continue
        for name in names:
            full = f"{path}.{name}" if path else name
            if full in alive:
                weights[full] = module.get_parameter(name).detach()
    if not weights:
        raise ContractError("the network has no Conv2d, Linear or attention weight that a forward pass reaches.")
    return weights


def chosen_weights(network: nn.Module, context: Context) -> dict[str, Tensor]:
    """Return the prunable weights but those that are to stay whole, in module order."""
    return {name: weight for name, weight in prunable(network, context.example).items() if name not in context.keep}


def named_weights(network: nn.Module, words: Iterable[str], example: Images) -> frozenset[str]:
    """Return the prunable weights that belong to modules so called; a module stands for all inside of it.

    The first part of a path may be left out where it is the normalisation around every network.

    Raises:
        UsageError: if a word names none.
    """
    places = {name: name.removesuffix(".weight") for name in prunable(network, example)}
    found: set[str] = set()
    for word in words:
        whole, inside = word.removesuffix(".weight"), f"{word}."
        named = {
            name
            for name, path in places.items()
            for spelled in (path, path.removeprefix("network."))
            if spelled == whole or spelled.startswith(inside)
        }
        if not named:
            paths = [path.removeprefix("network.") for path in places.values()]
            raise UsageError(unknown("prunable layer", word, paths))
        found |= named
    return frozenset(found)


def refuse_reparametrised(network: nn.Module) -> None:
    """Refuse networks whose weights are computed in every pass, such as forgotten pruning hooks.

    Raises:
        ContractError: naming the module and what to do.
    """
    for path, module in network.named_modules():
        hooked = [name for name in module._parameters if name.endswith(("_orig", "_g", "_v"))]  # noqa: SLF001  hooks hide here alone
        computed = [name for name in hooked if hasattr(module, name.rpartition("_")[0])]
        if computed or parametrize.is_parametrized(module):
            raise ContractError(
                f"the weights of {path or 'the network'!r} are recomputed in every pass (pruning or normalisation "
                "hooks); remove the hooks first, with torch.nn.utils.prune.remove or remove_parametrizations."
            )


def zeros_wanted(weights: Mapping[str, Tensor], sparsity: Fraction) -> int:
    """Return how many of the prunable weights must be zero: the nearest whole number, halves up."""
    total = sum(weight.numel() for weight in weights.values())
    return int(sparsity * total + Fraction(1, 2))


def kept_wanted(weights: Mapping[str, Tensor], sparsity: Fraction) -> int:
    """Return how many of the prunable weights stay."""
    return sum(weight.numel() for weight in weights.values()) - zeros_wanted(weights, sparsity)


def keep_largest(weights: Mapping[str, Tensor], scores: Mapping[str, Tensor], keep: int) -> dict[str, Tensor]:
    """Keep exactly ``keep`` weights with the largest scores over all layers at once.

    Ties keep the earlier weight, in the order of ``weights`` and then of the flat index, whatever the memory format.
    Weights that are zero already rank below all others: dropping them costs nothing, keeping them keeps nothing.

    Raises:
        InfeasibleError: if fewer weights than ``keep`` are non-zero.
        ContractError: if a score is not a number.
    """
    flat = torch.cat([_ranked(weights[name], scores[name], name) for name in weights]).numpy()
    nonzero = len(flat) - int((flat == -np.inf).sum())
    if keep > nonzero:
        raise InfeasibleError(
            f"{keep} weights should stay and only {nonzero} of {len(flat)} are non-zero in the parent; "
            "it is sparser than the target already, so ask for a higher sparsity."
        )
    chosen = _largest(flat, keep)
    sizes = [weight.numel() for weight in weights.values()]
    parts = torch.from_numpy(chosen).split(sizes)
    return {name: part.view(weights[name].shape) for name, part in zip(weights, parts, strict=True)}


def keep_per_layer(
    weights: Mapping[str, Tensor], scores: Mapping[str, Tensor], quota: Mapping[str, int]
) -> dict[str, Tensor]:
    """Keep in each layer its quota of weights with the largest scores."""
    masks: dict[str, Tensor] = {}
    for name, weight in weights.items():
        masks |= keep_largest({name: weight}, {name: scores[name]}, quota[name])
    return masks


def keep_per_row(name: str, weight: Tensor, scores: Tensor, quota: Sequence[int]) -> Tensor:
    """Keep in each output row its quota of weights with the largest scores; ties keep the earlier one.

    Raises:
        InfeasibleError: if a row has fewer non-zero weights than its quota.
    """
    ranked = _ranked(weight, scores, name).view(len(weight), -1)
    wanted = torch.tensor(quota).unsqueeze(1)
    if short := int(((ranked > float("-inf")).sum(dim=1, keepdim=True) < wanted).sum()):
        raise InfeasibleError(
            f"{name}: {short} rows have fewer non-zero weights than should stay; ask for a higher sparsity."
        )
    order = ranked.argsort(dim=1, descending=True, stable=True)
    places = torch.arange(ranked.shape[1]).expand_as(order)
    return torch.zeros(order.shape, dtype=torch.bool).scatter_(1, order, places < wanted).view(weight.shape)


def _ranked(weight: Tensor, score: Tensor, name: str) -> Tensor:
    if score.shape != weight.shape:
        raise ContractError(f"{name}: the scores have shape {tuple(score.shape)}, the weights {tuple(weight.shape)}.")
    ranked = score.detach().cpu().flatten()
    if not ranked.isfinite().all():
        raise ContractError(f"{name}: a score is NaN or infinite, so nothing can be ranked.")
    return ranked.double().masked_fill(weight.detach().cpu().flatten() == 0, float("-inf"))


def _largest(
    flat: "np.ndarray[tuple[int], np.dtype[np.float64]]", keep: int
) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    if keep == 0:
        return np.zeros(len(flat), dtype=np.bool_)
    threshold = np.partition(flat, len(flat) - keep)[len(flat) - keep]
    chosen = flat > threshold
    tied = np.flatnonzero(flat == threshold)
    chosen[tied[: keep - int(chosen.sum())]] = True
    return chosen


def smallest(scores: Float[Tensor, " weights"], count: int) -> Bool[Tensor, " weights"]:
    """Tell the ``count`` smallest scores; of equal ones the later go first.

    For few of many, as in schedules of small rounds: a sample bounds the threshold from above, and only what lies
    below the bound is ranked.
    """
    if count == 0:
        return torch.zeros(scores.shape, dtype=torch.bool, device=scores.device)
    sample = scores[:: max(1, len(scores) // SAMPLE)]
    rank = int(len(sample) * (count / len(scores)) * 1.25) + SAMPLE // 64
    bound = scores.max() if rank >= len(sample) else sample.kthvalue(rank + 1).values
    below = scores[scores <= bound]
    if len(below) < count:
        below = scores
    threshold = below.kthvalue(count).values
    chosen = scores < threshold
    tied = (scores == threshold).nonzero().flatten()
    chosen[tied[len(tied) - (count - int(chosen.sum())) :]] = True
    return chosen


def apply(network: nn.Module, masks: Masks) -> None:
    """Write exact zeros where a mask says drop; no hook is left behind.

    Raises:
        ContractError: if a mask names no parameter or has another shape.
    """
    parameters = dict(network.named_parameters())
    for name, mask in masks.items():
        if name not in parameters:
            raise ContractError(f"the recipe returned a mask for {name!r}, which is no parameter of the network.")
        parameter = parameters[name]
        if mask.shape != parameter.shape or mask.dtype != torch.bool:
            raise ContractError(
                f"{name}: expected a boolean mask of shape {tuple(parameter.shape)}, "
                f"got {mask.dtype} {tuple(mask.shape)}."
            )
        with torch.no_grad():
            parameter.masked_fill_(~mask.to(parameter.device), 0.0)


def mask_digest(masks: Masks) -> str:
    """Return the sha256 over names, shapes and packed bits of masks, in name order."""
    digest = hashlib.sha256()
    for name, mask in sorted(masks.items()):
        digest.update(f"{name}|{tuple(mask.shape)}|".encode())
        digest.update(np.packbits(mask.cpu().contiguous().flatten().numpy(), bitorder="little").tobytes())
    return digest.hexdigest()

"""Which inner channels of a network go when it has to lose a share of its parameters."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

import torch
from torch import Tensor, nn

from bench.errors import ContractError, InfeasibleError
from bench.pruning.groups import Group
from bench.pruning.masks import reached
from bench.pruning.recipe import Channels, Context
from bench.pruning.slices import SlicePlan, same_function, slice_plan
from bench.pruning.tracing import traced_groups
from bench.tensors import Images


def inner_groups(network: nn.Module, context: Context) -> list[Group]:
    """Return the inner groups of a network, in module order.

    Each is proved by execution, together with those before it: cut, the network computes what it computed with the
    consumers' columns at zero, whichever channels go. Groups that are not what the tracer believed them to be (a
    reshape that mixes channels, a split in the middle of what is left, a norm over channels) are left out.
    """
    found = traced_groups(network, context.example).groups
    return _proved(network, [group for group in found if not _kept(group, context)], context.example)


def _kept(group: Group, context: Context) -> bool:
    return any(name in context.keep for name, _ in group.owners)


def _proved(network: nn.Module, found: list[Group], example: Images) -> list[Group]:
    def holds(groups: list[Group]) -> bool:
        return all(same_function(network, groups, kept, example) for kept in _trials(groups))

    if holds(found):
        return found
    proved: list[Group] = []
    for group in found:
        if holds([*proved, group]):
            proved.append(group)
    return proved


def _trials(groups: Sequence[Group]) -> list[dict[str, tuple[int, ...]]]:
    """Return two choices of channels: every other, and some that leave the halves of no group equal."""
    even = {group.producer: tuple(range(0, group.size, 2)) for group in groups}
    uneven = {group.producer: tuple(range(-(-2 * group.size // 3))) for group in groups}
    return [even, uneven]


def hindrance(network: nn.Module, context: Context) -> str:
    """Return in words why layers keep all of their channels, and how many each, the most frequent reason first."""
    found, obstacles = traced_groups(network, context.example)
    open_ = [group for group in found if not _kept(group, context)]
    reasons = Counter(obstacles.values())
    reasons["kept as asked"] = len(found) - len(open_)
    reasons["cut, the network would compute something else"] = len(open_) - len(inner_groups(network, context))
    return ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common() if count)


def filter_groups(network: nn.Module, context: Context) -> list[Group]:
    """Return the inner groups whose producer is a convolution."""
    modules = dict(network.named_modules())
    return [group for group in inner_groups(network, context) if isinstance(modules[group.producer], nn.Conv2d)]


def filter_sums(network: nn.Module, groups: Sequence[Group]) -> dict[str, Tensor]:
    """Return the sum of absolute weights of every filter."""
    weights = {group.producer: network.get_parameter(f"{group.producer}.weight").detach() for group in groups}
    return {name: weight.double().abs().flatten(1).sum(dim=1) for name, weight in weights.items()}


def choose(
    network: nn.Module,
    groups: Sequence[Group],
    scores: Mapping[str, Tensor],
    sparsity: Fraction,
    context: Context,
    *,
    spare: Fraction = Fraction(0),
) -> Channels:
    """Remove the channels with the smallest scores until the share of parameters removed is nearest to ``sparsity``.

    Channels go one by one, over all groups in one order, ties from the back; their number is found by bisection on the
    parameters that are left. Every group keeps its best channel, and at least the share ``spare`` of its channels.

    Raises:
        InfeasibleError: if all that may go is not enough.
    """
    if not groups:
        raise InfeasibleError(
            f"the network has no inner channels that can be removed ({hindrance(network, context)}); "
            "choose an unstructured recipe."
        )
    queue = _queue(groups, scores, spare)
    alive = reached(network, context.example)
    total = _parameters(network, {}, alive)
    wanted = sparsity * total

    def removed(count: int) -> int:
        kept = _keep(groups, queue[:count])
        return total - _parameters(network, slice_plan(groups, kept), alive)

    most = removed(len(queue))
    if most < wanted - widest_channel(network, groups):
        raise InfeasibleError(
            f"removing inner channels reaches {most / total:.1%} of the parameters at most, asked for "
            f"{float(sparsity):.1%}; elsewhere they stay ({hindrance(network, context)}); "
            "ask for less or choose an unstructured recipe."
        )
    low, high = 0, len(queue)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if removed(middle) < wanted else (low, middle)
    if low and wanted - removed(low - 1) < removed(low) - wanted:
        low -= 1
    return _keep(groups, queue[:low])


def equal_ratio(scores: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the rank of each channel as a share of its group, so that all groups shrink at the same ratio."""
    ranks = {}
    for name, score in scores.items():
        rising = score.flip(0).argsort(stable=True)
        rank = torch.empty(len(score), dtype=torch.float64)
        rank[len(score) - 1 - rising] = (torch.arange(len(score), dtype=torch.float64) + 0.5) / len(score)
        ranks[name] = rank
    return ranks


def _queue(groups: Sequence[Group], scores: Mapping[str, Tensor], spare: Fraction) -> list[tuple[str, int]]:
    """Return the channels that may go, first to go first."""
    entries = []
    for position, group in enumerate(groups):
        values = scores[group.producer].detach().cpu().double()
        if values.shape != (group.size,) or not values.isfinite().all():
            raise ContractError(f"{group.producer}: expected {group.size} finite channel scores.")
        falling = values.argsort(descending=True, stable=True).tolist()
        entries += [
            (float(values[channel]), -position, -channel, group.producer)
            for channel in falling[max(1, math.ceil(spare * group.size)) :]
        ]
    return [(producer, -channel) for _, _, channel, producer in sorted(entries)]


def _keep(groups: Sequence[Group], gone: Iterable[tuple[str, int]]) -> Channels:
    lost: dict[str, set[int]] = {group.producer: set() for group in groups}
    for producer, channel in gone:
        lost[producer].add(channel)
    return Channels(
        {
            group.producer: tuple(channel for channel in range(group.size) if channel not in lost[group.producer])
            for group in groups
        }
    )


def parameters(network: nn.Module, example: Images) -> int:
    """Return the number of parameters that a forward pass reaches."""
    return _parameters(network, {}, reached(network, example))


def _parameters(network: nn.Module, plan: SlicePlan, alive: frozenset[str]) -> int:
    return sum(
        math.prod(len(plan.get(name, {}).get(axis, range(size))) for axis, size in enumerate(parameter.shape))
        for name, parameter in network.named_parameters()
        if name in alive
    )


def widest_channel(network: nn.Module, groups: Sequence[Group]) -> int:
    """Return the most parameters that one channel carries."""
    shapes = {name: parameter.shape for name, parameter in network.named_parameters()}
    return max(
        sum(
            math.prod(shapes[name]) // shapes[name][dimension] * -(-int((owner >= 0).sum()) // group.size)
            for (name, dimension), owner in group.owners.items()
            if name in shapes
        )
        for group in groups
    )

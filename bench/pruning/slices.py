"""The slice plan: which indices of which tensor stay, and the smaller network that it makes."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from bench.errors import ContractError
from bench.pruning.groups import Group, Place, numbered
from bench.tensors import Images

SlicePlan: TypeAlias = Mapping[str, Mapping[int, Sequence[int]]]
"""Kept indices by tensor name and dimension; what is not named is kept whole. ``parent[plan] == pruned``."""

TOLERANCE = 1e-6
"""Two networks in double precision agree within this share of their largest logit."""


def slice_plan(groups: Iterable[Group], kept: Mapping[str, Sequence[int]]) -> dict[str, dict[int, tuple[int, ...]]]:
    """Return the kept indices of every tensor that loses some."""
    stays: dict[Place, Tensor] = {}
    for group in groups:
        mask = torch.zeros(group.size + 1, dtype=torch.bool)
        mask[list(kept.get(group.producer, range(group.size)))] = True
        mask[-1] = True  # an index that belongs to no channel of this group
        for place, owner in group.owners.items():
            stays[place] = mask[owner] & stays.get(place, torch.ones(len(owner), dtype=torch.bool))
    plan: dict[str, dict[int, tuple[int, ...]]] = {}
    for (name, dimension), stay in stays.items():
        if not stay.all():
            plan.setdefault(name, {})[dimension] = tuple(stay.nonzero().flatten().tolist())
    return plan


def compose(first: SlicePlan, second: SlicePlan) -> dict[str, dict[int, Sequence[int]]]:
    """Return the plan that cuts by ``first`` and what is left of it by ``second``."""
    plan = {name: dict(cuts) for name, cuts in first.items()}
    for name, cuts in second.items():
        for dimension, indices in cuts.items():
            before = plan.setdefault(name, {}).get(dimension)
            plan[name][dimension] = indices if before is None else tuple(before[index] for index in indices)
    return plan


def sliced(state: Mapping[str, Tensor], plan: SlicePlan) -> dict[str, Tensor]:
    """Return the state that the plan leaves."""
    result = {}
    for name, tensor in state.items():
        for dimension, indices in plan.get(name, {}).items():
            tensor = tensor.index_select(dimension, torch.tensor(indices, device=tensor.device))  # noqa: PLW2901  cut by cut
        result[name] = tensor
    return result


def materialise(network: nn.Module, plan: SlicePlan) -> nn.Module:
    """Return a copy whose planned channels are physically gone."""
    child = copy.deepcopy(network)
    state = sliced(dict(child.named_parameters()) | dict(child.named_buffers()), plan)
    for path, module in child.named_modules():
        prefix = f"{path}." if path else ""
        own = [name for name in (*module._parameters, *module._buffers) if prefix + name in plan]  # noqa: SLF001  named_parameters cannot say which
        for name in own:
            tensor = state[prefix + name].detach().clone()
            old = getattr(module, name)
            setattr(module, name, nn.Parameter(tensor, old.requires_grad) if isinstance(old, nn.Parameter) else tensor)
        if own:
            _resize(module)
    return child


def same_function(
    network: nn.Module, groups: Sequence[Group], kept: Mapping[str, Sequence[int]], example: Images
) -> bool:
    """Tell whether the smaller network computes what the whole one does with the removed channels unread.

    Setting the columns of the consumers to zero is the one mask that equals removal: zero rows of the producer still
    let the shift of batch norm through. Each image is also run alone, since a wrong reshape mixes a batch.
    """
    try:
        child = materialise(network, slice_plan(groups, kept)).double().eval()
        images = torch.cat([example[:1], 1 - example[:1].flip(3)]).double()
        with torch.no_grad():
            small, alone = child(images), torch.cat([child(image.unsqueeze(0)) for image in images])
            masked = copy.deepcopy(network).double().eval()
            for group in groups:
                gone = torch.ones(group.size + 1, dtype=torch.bool)
                gone[list(kept.get(group.producer, range(group.size)))] = False
                gone[-1] = False
                for name, owner in group.consumed:
                    masked.get_parameter(name)[:, gone[owner]] = 0.0
            whole = masked(images)
    except Exception:  # noqa: BLE001 - shapes that do not fit are what this function looks for, and raise anything
        return False
    if small.shape != whole.shape or alone.shape != whole.shape:
        return False
    limit = TOLERANCE * float(whole.abs().max())
    return float((small - whole).abs().max()) <= limit and float((small - alone).abs().max()) <= limit


def prove(parent: nn.Module, child: nn.Module, plan: SlicePlan) -> None:
    """Hold ``parent[plan] == pruned`` bit for bit.

    Raises:
        ContractError: naming the first tensor that differs.
    """
    expected = sliced(parent.state_dict(), plan)
    found = child.state_dict()
    for name, tensor in expected.items():
        if name not in found or not torch.equal(found[name], tensor):
            raise ContractError(f"{name!r} of the smaller network is not what the slice plan takes from the parent.")


def _resize(module: nn.Module) -> None:
    match module:
        case nn.Conv2d():
            depthwise = module.groups > 1
            module.out_channels = module.weight.shape[0]
            module.groups = module.out_channels if depthwise else 1
            module.in_channels = module.weight.shape[1] * module.groups
        case nn.Linear():
            module.out_features, module.in_features = module.weight.shape
        case nn.BatchNorm2d() | nn.BatchNorm1d():
            module.num_features = len(module.weight if module.running_mean is None else module.running_mean)
        case _ if not numbered(module):
            raise ContractError(f"a {type(module).__name__} cannot be made smaller.")

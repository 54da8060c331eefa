"""Which channels of a network can be removed, and what has to go with each of them.

An *inner* group is cut at one producer: one convolution or linear layer loses rows, batch norm and depthwise
convolutions behind it lose the same channels, and its consumers lose columns. Nothing on the residual stream is
touched, no free parameter, no attention head. Torch-Pruning says what depends on what; scores, choice and removal are
not its business.
"""

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from bench.pruning.masks import reached
from bench.tensors import Images

Place: TypeAlias = tuple[str, int]
"""A tensor by its name in the state, and one of its dimensions."""


@dataclass(frozen=True, slots=True)
class Group:
    """One producer with everything that is cut together with its output.

    Attributes:
        producer: module whose output channels are counted.
        size: number of channels.
        owners: per place, the channel that each index belongs to; −1 where it belongs to another group.
    """

    producer: str
    size: int
    owners: Mapping[Place, Tensor]

    @property
    def consumed(self) -> Iterator[tuple[str, Tensor]]:
        """The weights that read the channels, with the owner of each column."""
        return ((name, owner) for (name, dimension), owner in self.owners.items() if dimension == 1)


def channel_sums(groups: Sequence[Group], values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return per group and channel the sum of the values that go with it; tensors without values count nothing."""
    sums = {}
    for group in groups:
        total = torch.zeros(group.size + 1, dtype=torch.float64)
        for (name, dimension), owner in group.owners.items():
            if name in values:
                lines = (
                    values[name]
                    .double()
                    .cpu()
                    .movedim(dimension, 0)
                    .reshape(values[name].shape[dimension], -1)
                    .sum(dim=1)
                )
                total.index_add_(0, owner % (group.size + 1), lines)
        sums[group.producer] = total[: group.size]
    return sums


def _known(place: Place, alive: frozenset[str]) -> bool:
    name, _ = place
    return name in alive or name.endswith(("running_mean", "running_var"))


def traced_groups(network: nn.Module, example: Images) -> list[Group]:
    """Return what the tracer believes to be the inner groups, in module order; blocks never executed have none."""
    alive = reached(network, example)
    order = {path: place for place, path in enumerate(dict(network.named_modules()))}
    found = [group for group in _traced(network, example) if all(_known(place, alive) for place in group.owners)]
    return sorted(found, key=lambda group: order[group.producer])


def _traced(network: nn.Module, example: Images) -> list[Group]:
    """Trace a copy: the tracer wants gradients and two images, and keeps what it has seen."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch_pruning

        twin = copy.deepcopy(network).eval().requires_grad_(requires_grad=True)
        images = example[:2] if len(example) > 1 else torch.cat([example, example])
        with torch.enable_grad():
            graph = torch_pruning.DependencyGraph().build_dependency(twin, images, verbose=False)
        paths = {module: path for path, module in twin.named_modules()}
        heads = {path for path, module in twin.named_modules() if hasattr(module, "num_heads")}
        groups = []
        for traced in graph.get_all_groups(root_module_types=[nn.Conv2d, nn.Linear]):
            group = _inner(graph, traced, paths, heads)
            if group is not None:
                groups.append(group)
    return groups


def _inner(graph: Any, traced: Any, paths: Mapping[nn.Module, str], heads: set[str]) -> Group | None:
    """Return the group if it is an inner one."""
    producers: list[str] = []
    size, consumers = 0, 0
    owners: dict[Place, Tensor] = {}
    for item in traced:
        module, outward = item.dep.target.module, graph.is_out_channel_pruning_fn(item.dep.handler)
        if isinstance(module, nn.Parameter):
            return None
        if module not in paths:
            continue  # an operation without parameters
        path = paths[module]
        if any(path.startswith(f"{head}.") for head in heads if head) or not _removable(module):
            return None
        if isinstance(module, nn.Conv2d | nn.Linear) and not _depthwise(module):
            if outward and path not in producers:
                producers.append(path)
                size = module.weight.shape[0]
            consumers += not outward
        for place, length in _places(path, module, outward=outward):
            owner = owners.setdefault(place, torch.full((length,), -1))
            owner[torch.tensor(item.idxs)] = torch.tensor(item.root_idxs if item.root_idxs is not None else item.idxs)
    return Group(producers[0], size, owners) if len(producers) == 1 and consumers else None


def _removable(module: nn.Module) -> bool:
    """Tell layers whose channels stand on their own; norms over channels and grouped convolutions mix them."""
    if isinstance(module, nn.Conv2d):
        return module.groups == 1 or _depthwise(module)
    if any(True for _ in module.parameters(recurse=False)):
        return isinstance(module, nn.Linear | nn.BatchNorm2d | nn.BatchNorm1d)
    return True


def _depthwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels == module.out_channels


def _places(path: str, module: nn.Module, *, outward: bool) -> Iterator[tuple[Place, int]]:
    """Yield the places that a cut of this layer touches, with their lengths."""
    outward = outward or _depthwise(module) or not isinstance(module, nn.Conv2d | nn.Linear)
    if not outward:
        weight = module.get_parameter("weight")
        yield (f"{path}.weight", 1), weight.shape[1]
        return
    tensors = dict(module.named_parameters(recurse=False)) | dict(module.named_buffers(recurse=False))
    for name, tensor in tensors.items():
        if tensor.ndim:
            yield (f"{path}.{name}", 0), tensor.shape[0]

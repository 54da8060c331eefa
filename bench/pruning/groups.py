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
from typing import Any, NamedTuple, TypeAlias

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


class Traced(NamedTuple):
    """What the tracer believes of a network.

    Attributes:
        groups: the inner groups, in module order; blocks never executed have none.
        obstacles: per layer whose channels stay, why.
    """

    groups: list[Group]
    obstacles: dict[str, str]


def traced_groups(network: nn.Module, example: Images) -> Traced:
    """Return what the tracer believes to be inner groups; nothing of it is proved yet."""
    alive = reached(network, example)
    order = {path: place for place, path in enumerate(dict(network.named_modules()))}
    found, obstacles = _traced(network, example)
    groups = [group for group in found if all(_known(place, alive) for place in group.owners)]
    return Traced(sorted(groups, key=lambda group: order[group.producer]), obstacles)


def _known(place: Place, alive: frozenset[str]) -> bool:
    name, _ = place
    return name in alive or name.endswith(("running_mean", "running_var"))


def _traced(network: nn.Module, example: Images) -> tuple[list[Group], dict[str, str]]:
    """Trace a copy: the tracer wants gradients and two images, and keeps what it has seen."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch_pruning

        copied = copy.deepcopy(network).eval().requires_grad_(requires_grad=True)
        paths = {module: path for path, module in copied.named_modules()}
        heads = {path for path, module in copied.named_modules() if hasattr(module, "num_heads")}
        images = example[:2] if len(example) > 1 else torch.cat([example, example])
        groups, obstacles = [], {}
        try:
            with torch.enable_grad():
                graph = torch_pruning.DependencyGraph().build_dependency(copied, images, verbose=False)
            traced = list(graph.get_all_groups(root_module_types=[nn.Conv2d, nn.Linear]))
        except Exception as error:  # noqa: BLE001 - a network beyond the tracer makes it raise anything
            says = f"the tracer fails on this network ({type(error).__name__})"
            return [], {path: says for module, path in paths.items() if isinstance(module, nn.Conv2d | nn.Linear)}
        for one in traced:
            try:
                group = _inner(graph, one, paths, heads)
            except _Obstacle as obstacle:
                obstacles[paths[one[0].dep.target.module]] = str(obstacle)
            else:
                groups.append(group)
    return groups, obstacles


class _Obstacle(Exception):  # noqa: N818 - nothing went wrong
    """Why a layer keeps all of its channels."""


def _inner(graph: Any, traced: Any, paths: Mapping[nn.Module, str], heads: set[str]) -> Group:
    """Return the group if it is an inner one."""
    producers: list[str] = []
    size, consumers = 0, 0
    owners: dict[Place, Tensor] = {}
    for item in traced:
        module, outward = item.dep.target.module, graph.is_out_channel_pruning_fn(item.dep.handler)
        if isinstance(module, nn.Parameter):
            raise _Obstacle("a free parameter goes with them")
        if module not in paths:
            continue  # an operation without parameters
        path = paths[module]
        _hold_separable(module, path, heads)
        if isinstance(module, nn.Conv2d | nn.Linear) and not _depthwise(module):
            if outward and path not in producers:
                producers.append(path)
                size = module.weight.shape[0]
            consumers += not outward
        root = item.root_idxs if item.root_idxs is not None else item.idxs
        for place, length in _places(path, module, outward=outward):
            if len(root) != len(item.idxs) or max(item.idxs, default=0) >= length:
                raise _Obstacle("a reshape or a split rearranges them")
            owners.setdefault(place, torch.full((length,), -1))[torch.tensor(item.idxs)] = torch.tensor(root)
    if len(producers) > 1:
        raise _Obstacle("several layers share them, as in a sum")
    if not consumers:
        raise _Obstacle("nothing but the output reads them")
    return Group(producers[0], size, owners)


def _hold_separable(module: nn.Module, path: str, heads: set[str]) -> None:
    if any(path.startswith(f"{head}.") for head in heads if head):
        raise _Obstacle("attention heads are made of them")
    if not _removable(module):
        kind = "grouped convolution" if isinstance(module, nn.Conv2d) else type(module).__name__
        raise _Obstacle(f"a {kind} mixes them")


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

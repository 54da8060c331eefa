"""Finds out what reads each channel of a network, by marking channels and looking where the marks arrive.

A mark is NaN: arithmetic carries it along, whatever operations the network is made of. Convolutions and linear layers
answer as they did for a clean image, so that a mark ends where it is read, and nothing is multiplied while marks run.
Channels are marked by the bits of their number and by the complements of these bits: a column is read from one channel
alone where, of each bit and its complement, exactly one arrives.
"""

import copy
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from bench.pruning.cost import plain_attention
from bench.pruning.groups import Group, Place, numbered
from bench.pruning.masks import reached
from bench.tensors import Images


class Traced(NamedTuple):
    """What marks tell of a network.

    Attributes:
        groups: the inner groups, in module order; blocks never executed have none.
        obstacles: per layer whose channels stay, why.
    """

    groups: list[Group]
    obstacles: dict[str, str]


class _Reader(NamedTuple):
    """What arrived at one module.

    Attributes:
        owner: per channel of its input, the channel that was marked; −1 where no mark arrived.
        mixed: some channel of its input depends on several.
    """

    owner: Tensor
    mixed: bool


def traced_groups(network: nn.Module, example: Images) -> Traced:
    """Return what looks like inner groups; nothing of it is proved yet."""
    alive = reached(network, example)
    modules = dict(network.named_modules())
    heads = _heads(modules)
    marking = _Marking(network, example)
    found: dict[str, Group] = {}
    obstacles: dict[str, str] = {}
    readers: dict[str, dict[Place, Tensor]] = {}
    for path in marking.layers:
        if f"{path}.weight" not in alive:
            continue
        if marking.calls[path] > 1:
            obstacles[path] = "the layer runs more than once"
            continue
        try:
            arrived, unread = marking.run(path)
        except Exception as error:  # noqa: BLE001 - a network may stumble over marks in any way
            obstacles[path] = f"the network does not run with a channel marked ({type(error).__name__})"
            continue
        own = {place: torch.arange(length) for place, length in _places(path, modules[path], written=True)}
        owners = own | {
            place: reader.owner
            for reading, reader in arrived.items()
            for place, length in _places(reading, modules[reading], written=False)
            if length == len(reader.owner)
        }
        readers[path] = owners
        obstacle = _obstacle(path, modules, arrived, heads, unread=unread)
        if obstacle:
            obstacles[path] = obstacle
        else:
            found[path] = Group(path, len(own[f"{path}.weight", 0]), owners)
    for path in sorted(_shared(readers)):
        if found.pop(path, None):
            obstacles[path] = "several layers share them, as in a sum"
    return Traced(list(found.values()), obstacles)


def _heads(modules: dict[str, nn.Module]) -> tuple[str, ...]:
    """Return where attention heads are made; a block that tells their number on does not make them."""
    told = [f"{path}." for path, module in modules.items() if path and hasattr(module, "num_heads")]
    making = [path for path in told if any(name.startswith(path) and _consumes(modules[name]) for name in modules)]
    return tuple(path for path in making if not any(inner != path and inner.startswith(path) for inner in making))


def _obstacle(
    path: str, modules: dict[str, nn.Module], arrived: dict[str, _Reader], heads: tuple[str, ...], *, unread: bool
) -> str | None:
    """Return why the channels of a layer stay; None if they look like an inner group."""
    if not _separable(modules[path]):
        return "a grouped convolution mixes them"
    if path.startswith(heads) or any(reading.startswith(heads) for reading in arrived):
        return "attention heads are made of them"
    for reading, reader in arrived.items():
        if not _separable(module := modules[reading]):
            kind = "grouped convolution" if isinstance(module, nn.Conv2d) else type(module).__name__
            return f"a {kind} mixes them"
        if reader.mixed:
            return "an operation between two layers mixes them"
    consumers = [reading for reading in arrived if _consumes(modules[reading])]
    if unread or not consumers:
        return "the output reads them"
    return None


def _shared(readers: dict[str, dict[Place, Tensor]]) -> set[str]:
    """Return the layers whose marks arrive at one channel of one tensor together with another layer's."""
    at: dict[Place, list[str]] = {}
    for path, owners in readers.items():
        for place in owners:
            at.setdefault(place, []).append(path)
    shared: set[str] = set()
    for place, paths in at.items():
        marked = torch.stack([readers[path][place] >= 0 for path in paths])
        crowded = marked & (marked.sum(dim=0) > 1)
        shared |= {path for path, touched in zip(paths, crowded.any(dim=1).tolist(), strict=True) if touched}
    return shared


class _Marking:
    """A copy of a network whose layers repeat what they answered to a clean image, but for marks."""

    def __init__(self, network: nn.Module, example: Images) -> None:
        self._network = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        self._image = example[:1]
        modules = dict(self._network.named_modules())
        self._clean: dict[str, list[Tensor]] = {}
        self._seen: dict[str, Tensor] = {}
        self._marks = torch.zeros(0, 0)
        self._source = ""
        self._answered: dict[str, int] = {}
        hooks = [
            module.register_forward_hook(self._recording(path)) for path, module in modules.items() if _consumes(module)
        ]
        with torch.no_grad(), plain_attention():
            self._network(self._image)
        for hook in hooks:
            hook.remove()
        self.layers = [path for path in modules if path in self._clean]
        self.calls = {path: len(answers) for path, answers in self._clean.items()}
        for path, module in modules.items():
            if path in self._clean:
                module.forward = self._answering(path, module)
            elif path and (numbered(module) or any(tensor.numel() > 1 for tensor in module.parameters(recurse=False))):
                module.register_forward_pre_hook(self._watching(path))

    def run(self, path: str) -> tuple[dict[str, _Reader], bool]:
        """Mark the channels of one layer and return what arrived where, and whether the logits depend on a mark."""
        answer = self._clean[path][0]
        size = answer.shape[_axis(self._network.get_submodule(path))]
        bits = max(1, math.ceil(math.log2(size)))
        number = torch.arange(size)
        ones = torch.stack([(number >> bit) % 2 == 1 for bit in range(bits)])
        self._marks = torch.cat([ones, ~ones]).to(answer.device)
        self._source, self._seen, self._answered = path, {}, dict.fromkeys(self._clean, 0)
        with torch.no_grad(), plain_attention():
            logits = self._network(self._image.expand(len(self._marks), *self._image.shape[1:]))
        arrived = {reading: _decoded(marks) for reading, marks in self._seen.items() if bool(marks.any())}
        return arrived, bool(logits.isnan().any())

    def _recording(self, path: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def record(_: nn.Module, __: Any, answer: Tensor) -> None:
            self._clean.setdefault(path, []).append(answer.detach().clone())

        return record

    def _watching(self, path: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def watch(module: nn.Module, given: tuple[Any, ...]) -> None:
            self._see(path, module, given[0])

        return watch

    def _answering(self, path: str, module: nn.Module) -> Callable[[Tensor], Tensor]:
        def answer(given: Tensor) -> Tensor:
            self._see(path, module, given)
            clean = self._clean[path][self._answered[path]]
            self._answered[path] += 1
            # a layer that reads no image, as of an encoding of positions, answers once
            times = len(self._marks) if path == self._source else len(given) // len(clean)
            many = clean.repeat(times, *[1] * (clean.ndim - 1))
            if path == self._source:
                marks = self._marks.repeat_interleave(len(clean), dim=0)
                shape = [len(marks), *[1] * (many.ndim - 1)]
                shape[_axis(module)] = marks.shape[1]
                many = many.masked_fill(marks.view(shape), math.nan)
            return many

        return answer

    def _see(self, path: str, module: nn.Module, given: Tensor) -> None:
        if not given.isnan().any():
            return
        axis, copies = _axis(module) % given.ndim, len(self._marks)
        if (count := numbered(module)) and given.shape[axis] != count == given.shape[-1]:
            axis = given.ndim - 1
        if len(given) % copies or axis == 0:
            raise ValueError("the images of a batch are not the first dimension")
        marked = given.isnan().movedim(axis, 1).reshape(copies, len(given) // copies, given.shape[axis], -1)
        arrived = marked.any(dim=3).any(dim=1)
        self._seen[path] = self._seen[path] | arrived if path in self._seen else arrived


def _decoded(arrived: Tensor) -> _Reader:
    """Read the number of the channel off the bits that arrived at each column."""
    ones, zeros = arrived.cpu().chunk(2)
    touched = (ones | zeros).any(dim=0)
    single = (ones ^ zeros).all(dim=0)
    number = (ones * (1 << torch.arange(len(ones))).unsqueeze(1)).sum(dim=0)
    return _Reader(torch.where(touched & single, number, -1), bool((touched & ~single).any()))


def _axis(module: nn.Module) -> int:
    return -1 if isinstance(module, nn.Linear) else 1


def _consumes(module: nn.Module) -> bool:
    """Tell layers whose outputs depend on all channels of their input."""
    return isinstance(module, nn.Conv2d | nn.Linear) and not _depthwise(module)


def _separable(module: nn.Module) -> bool:
    """Tell layers whose channels stand on their own; norms over channels and grouped convolutions mix them."""
    if isinstance(module, nn.Conv2d):
        return module.groups == 1 or _depthwise(module)
    return isinstance(module, nn.Linear | _BatchNorm) or numbered(module) > 0


def _depthwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels == module.out_channels


def _places(path: str, module: nn.Module, *, written: bool) -> Iterator[tuple[Place, int]]:
    """Yield the places that a cut of what a layer writes or reads touches, with their lengths."""
    if _consumes(module) and not written:
        yield (f"{path}.weight", 1), module.get_parameter("weight").shape[1]
        return
    tensors = dict(module.named_parameters(recurse=False)) | dict(module.named_buffers(recurse=False))
    for name, tensor in tensors.items():
        if tensor.ndim:
            yield (f"{path}.{name}", 0), tensor.shape[0]

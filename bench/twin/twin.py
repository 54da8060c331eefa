"""Makes twins of networks, and lets a twin stand in for its network while attacks search."""

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from bench.tensors import Classifier, Images, Logits
from bench.twin import linear, strided, winograd
from bench.twin.parts import Crew, parts_of

_SHARE = 0.5
"""Of a network's multiply-accumulates, for faster convolutions to pay."""
_APART = 1e-3
"""The most that a twin's logits may differ from its network's, in units of their largest: rounding, and no more."""


def twin(network: nn.Module, images: Images) -> nn.Module:
    """Return a frozen copy that computes the same function faster on a processor; the network itself if none does.

    The logits of a twin differ from its network's in the last bits, so it proposes images and judges nothing. Where
    they do most of the work, wide 3x3 convolutions take fewer multiplications, and batch norms move into the
    convolutions before them; large linear layers and strided first ones compute in another order. A network that such a
    copy does not equal on ``images`` (one that reads the weights of its layers by itself, say) has no twin.
    """
    free = {name: module for name, module in network.named_modules() if not _hooked(module)}
    wide = [name for name, module in free.items() if winograd.eligible(module)]
    large = [name for name, module in free.items() if linear.eligible(module)]
    stems = [name for name, module in free.items() if strided.eligible(module)]
    if network.training or not wide + large + stems:
        return network
    seen = _Seen()
    with torch.no_grad(), _watching(network, seen):
        logits = network(images)
    pays = sum(seen.work[name] for name in wide) >= _SHARE * seen.work.total()
    if not pays and not large + stems:
        return network
    faster = copy.deepcopy(network).requires_grad_(requires_grad=False)
    if pays:
        _convolve_faster(faster, wide, seen)
    for name in stems:
        _replace(faster, name, strided.Strided(faster.get_submodule(name)))
    for name in large:
        own = dict(faster.get_submodule(name).named_parameters())
        _replace(faster, name, linear.Turned(own["weight"], own.get("bias")))
    faster.eval()
    return faster if _equal(faster, images, logits) else network


def _convolve_faster(network: nn.Module, wide: Sequence[str], seen: "_Seen") -> None:
    for norm, convolution in seen.follows.items():
        if seen.calls[norm] == seen.calls[convolution] == 1:
            _replace(network, convolution, _fused(network, convolution, norm))
            _replace(network, norm, nn.Identity())
    for name in wide:
        own = dict(network.get_submodule(name).named_parameters())
        _replace(network, name, winograd.Winograd(own["weight"], own.get("bias")))
    network.to(memory_format=torch.channels_last)


class _Seen:
    """What one pass through a network shows: who works how much, and which batch norm follows which convolution."""

    def __init__(self) -> None:
        self.work: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.follows: dict[str, str] = {}
        self.hooked: set[str] = set()
        self._outputs: dict[int, tuple[str, Tensor]] = {}  # holds the tensors, or another could take their number

    def note(self, name: str, module: nn.Module, given: Tensor, output: Tensor) -> None:
        self.calls[name] += 1
        if isinstance(module, nn.Conv2d | nn.Linear):
            self.work[name] += module.weight[0].numel() * output.numel()
        if name in self.hooked:
            return
        if type(module) is nn.Conv2d:
            self._outputs[id(output)] = name, output
        elif type(module) is nn.BatchNorm2d and module.track_running_stats:
            source = self._outputs.get(id(given))
            if source:
                self.follows[name] = source[0]


@contextmanager
def _watching(network: nn.Module, seen: _Seen) -> Iterator[None]:
    """Let ``seen`` note every convolution, linear layer and batch norm that runs."""

    def watch(name: str) -> Any:
        return lambda module, inputs, output: seen.note(name, module, inputs[0], output)

    layers = [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d)
    ]
    seen.hooked = {name for name, module in layers if _hooked(module)}
    hooks = [module.register_forward_hook(watch(name)) for name, module in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _fused(network: nn.Module, convolution: str, norm: str) -> nn.Module:
    one, other = network.get_submodule(convolution), network.get_submodule(norm)
    assert isinstance(one, nn.Conv2d)
    assert isinstance(other, nn.BatchNorm2d)
    return fuse_conv_bn_eval(one, other).requires_grad_(requires_grad=False)


def _replace(network: nn.Module, name: str, other: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, other)


def _equal(faster: nn.Module, images: Images, logits: Logits) -> bool:
    try:
        with torch.no_grad():
            apart = (faster(images) - logits).abs().max()
    except (AttributeError, TypeError):  # the network asks its layers for what only its own have
        return False
    return bool(apart <= _APART * logits.abs().max())


def _hooked(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks or module._backward_hooks)  # noqa: SLF001


def stand_in(network: nn.Module, images: Images) -> Classifier:
    """Return what attacks search on in place of a network: its twin, a heavy one with a part of each batch per core.

    The network itself where it has no twin.
    """
    faster = twin(network, images)
    heavy = any(isinstance(module, winograd.Winograd) for module in faster.modules())
    return _Abreast(faster) if heavy and torch.get_num_threads() > 1 else faster


class _Abreast:
    """A classifier that gives each core a part of a batch; within layers, the cores would wait at every one."""

    def __init__(self, network: nn.Module) -> None:
        self._crew = Crew(network, torch.get_num_threads())

    def __call__(self, images: Images, /) -> Logits:
        """Return the logits."""
        result: Tensor = _Passes.apply(images, self._crew)
        return result


class _Passes(torch.autograd.Function):
    """Each core keeps the graph of its own part."""

    @staticmethod
    def forward(context: Any, images: Tensor, crew: Crew) -> Tensor:
        context.crew, needed = crew, images.requires_grad
        context.parts = parts_of(len(images), -(-len(images) // crew.workers))

        def pass_forward(network: nn.Module, rows: slice) -> tuple[Tensor, Tensor]:
            with torch.set_grad_enabled(needed):
                given = images.detach()[rows].requires_grad_(needed)
                return given, network(given)

        context.graphs = list(crew.run(pass_forward, context.parts))
        return torch.cat([logits.detach() for _, logits in context.graphs])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        graphs = dict(zip((part.start for part in context.parts), context.graphs, strict=True))

        def pass_backward(_network: nn.Module, rows: slice) -> Tensor:
            given, logits = graphs[rows.start]
            # kept: an attack may differentiate the same logits several times, with its own graph kept
            return torch.autograd.grad(logits, given, gradients[0][rows], retain_graph=True)[0]

        return torch.cat(list(context.crew.run(pass_backward, context.parts))), None

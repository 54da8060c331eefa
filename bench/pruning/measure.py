"""What pruning really did, measured on the tensors that are attacked."""

from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor, nn

from bench.errors import ArtefactError
from bench.pruning.connection import connected
from bench.pruning.cost import macs, plain
from bench.pruning.masks import prunable, reached
from bench.pruning.packing import pack
from bench.tensors import Images


@dataclass(frozen=True, slots=True)
class Layer:
    """One prunable layer.

    Attributes:
        shape: in the dense parent.
        weights: in the dense parent.
        zeros: exact zeros, and weights of removed channels.
        macs: multiply-accumulates per image in the parent.
    """

    name: str
    shape: tuple[int, ...]
    weights: int
    zeros: int
    macs: int


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of one network against its dense parent; their meaning is that of the pruning record.

    Attributes:
        prunable: Conv2d, Linear and attention weights that a forward pass of the parent reaches.
        zeros: exact zeros among them; weights of removed channels count, and so does −0.0.
        connected: non-zero ones among them on a path from the image to the logits; the others can do nothing.
        nonzero: non-zero parameters of the whole network, unreached ones left out.
        parameters: reached parameters of the whole parent.
        macs: multiply-accumulates per image of the network itself, zeros included.
        nonzero_macs: theoretical: each layer's share of non-zero weights times its multiply-accumulates.
        bytes_plain: of the state as safetensors.
        bytes_packed: of bit masks and non-zero values, compressed.
        collapsed_layers: prunable layers without one non-zero weight.
        removed: some tensor is smaller than the parent's.
    """

    prunable: int
    zeros: int
    connected: int
    nonzero: int
    parameters: int
    macs: int
    nonzero_macs: int
    parent_macs: int
    bytes_plain: int
    bytes_packed: int
    collapsed_layers: tuple[str, ...]
    layers: tuple[Layer, ...]
    removed: bool

    @property
    def sparsity(self) -> Fraction:
        """Zeros as a share of the prunable weights."""
        return Fraction(self.zeros, self.prunable)


def measure(parent: nn.Module | None, network: nn.Module, example: Images) -> Measured:
    """Measure a network against its dense parent; without one, against itself.

    Raises:
        ArtefactError: if the network holds a tensor that its parent lacks, or a larger one.
    """
    parent = network if parent is None else parent
    weights = prunable(parent, example)
    alive = reached(parent, example)
    state, before = dict(network.named_parameters()), dict(parent.named_parameters())
    removed = _fits(before, state)
    own = {name: state[name].detach() for name in weights}
    parent_total, per_weight = macs(parent, weights, example)
    total, now = (parent_total, per_weight) if network is parent else macs(network, own, example)
    left = {name: _nonzero(weight) for name, weight in own.items()}
    paths = connected(network, list(own), example)
    nonzero_macs = total - sum(now.values())
    nonzero_macs += sum(now[name] * left[name] // max(own[name].numel(), 1) for name in own)
    layers = tuple(
        Layer(name, tuple(weight.shape), weight.numel(), weight.numel() - left[name], per_weight[name])
        for name, weight in weights.items()
    )
    return Measured(
        prunable=sum(layer.weights for layer in layers),
        zeros=sum(layer.zeros for layer in layers),
        connected=sum(int(path.sum()) for path in paths.values()),
        nonzero=sum(_nonzero(state[name]) for name in alive),
        parameters=sum(before[name].numel() for name in alive),
        macs=total,
        nonzero_macs=nonzero_macs,
        parent_macs=parent_total,
        bytes_plain=len(plain(network)),
        bytes_packed=len(pack(network.state_dict())),
        collapsed_layers=tuple(layer.name for layer in layers if layer.zeros == layer.weights),
        layers=layers,
        removed=removed,
    )


def _fits(parent: dict[str, nn.Parameter], network: dict[str, nn.Parameter]) -> bool:
    if parent.keys() != network.keys():
        odd = min(parent.keys() ^ network.keys())
        raise ArtefactError(f"{odd!r} is a tensor of the network or of its parent, but not of both.")
    for name, tensor in network.items():
        shape, limit = tuple(tensor.shape), tuple(parent[name].shape)
        if len(shape) != len(limit) or any(size > most for size, most in zip(shape, limit, strict=True)):
            raise ArtefactError(f"{name!r} has shape {shape}; its parent's {limit} is the most it may have.")
    return any(tensor.shape != parent[name].shape for name, tensor in network.items())


def _nonzero(tensor: Tensor) -> int:
    return int((tensor.detach() != 0).sum())

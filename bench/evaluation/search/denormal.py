"""Networks with weights so small that a processor computes with them twelve times as slowly."""

import copy

import torch
from torch import Tensor, nn

_IMAGES = 4


def without_denormals(network: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """Return a network that answers alike and is quick: a copy with zeros for denormal weights, or the network itself.

    Weights decayed far below float32's smallest normal number (about 1e-38) take a processor a slow path of every
    product, and change nothing beside weights of a usual size. Where they do change the answers to a few fixed images,
    as in a layer whose weights are all so small, they stay: the network is measured as it is, however slowly.

    Args:
        network: any; it stays as it is.
        shape: of one image.
    """
    if not any(_denormal(tensor).any() for tensor in _weights(network)):
        return network
    quick = copy.deepcopy(network)
    images = torch.rand(_IMAGES, *shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = network(images)
        for tensor in _weights(quick):
            tensor[_denormal(tensor)] = 0
        return quick if torch.equal(quick(images), before) else network


def _weights(network: nn.Module) -> list[Tensor]:
    """Return the parameters and buffers that a processor computes with; accelerators take any number alike."""
    tensors = [*network.parameters(), *network.buffers()]
    return [tensor for tensor in tensors if tensor.dtype == torch.float32 and tensor.device.type == "cpu"]


def _denormal(tensor: Tensor) -> Tensor:
    return (tensor != 0) & (tensor.abs() < torch.finfo(torch.float32).tiny)

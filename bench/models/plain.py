"""Brings a network that somebody's program made to plain weights, which can be copied, counted and compared."""

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm
from torch.optim.swa_utils import AveragedModel


def duplicate(network: nn.Module) -> nn.Module:
    """Return a copy, without what wraps it for training; tensors that a pass left in it are copied by value."""
    inner = _unwrapped(network)
    left = {id(tensor): tensor.detach().clone() for tensor in _tensors(inner) if not tensor.is_leaf}
    return copy.deepcopy(inner, left)


def settle(network: nn.Module) -> nn.Module:
    """Put masks and norms into the weights themselves, in place, and freeze the network in evaluation mode.

    These are what ``torch.nn.utils.prune``, ``parametrize``, ``weight_norm`` and ``spectral_norm`` leave in a network.
    Weights that differ from pass to pass stay as they are, for to fix them would be to measure another network.
    """
    network.eval().requires_grad_(requires_grad=True)  # else what is computed would come out as a buffer
    with torch.enable_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the user's code chose the older norms
        for module in list(network.modules()):
            for hook in list(module._forward_pre_hooks.values()):  # noqa: SLF001 - hooks hide here alone
                _remove(module, hook)
            if parametrize.is_parametrized(module):
                _remove_parametrizations(module)
    return network.requires_grad_(requires_grad=False)


def _remove(module: nn.Module, hook: Any) -> None:
    if isinstance(hook, prune.BasePruningMethod):
        prune.remove(module, hook._tensor_name)  # noqa: SLF001 - the only place that knows
    elif isinstance(hook, WeightNorm):
        remove_weight_norm(module, hook.name)
    elif isinstance(hook, SpectralNorm):
        remove_spectral_norm(module, hook.name)


def _remove_parametrizations(module: nn.Module) -> None:
    # they live in a class of the module's own, which a copy shares until it gets another
    kind = type(module)
    held = {name: value for name, value in vars(kind).items() if name not in {"__dict__", "__weakref__"}}
    module.__class__ = type(kind.__name__, kind.__bases__, held)
    for name in list(module.parametrizations):  # type: ignore[arg-type]
        if torch.equal(getattr(module, name), getattr(module, name)):
            parametrize.remove_parametrizations(module, name)


def _unwrapped(network: nn.Module) -> nn.Module:
    while True:
        if isinstance(network, nn.DataParallel | nn.parallel.DistributedDataParallel | AveragedModel):
            network = network.module
        elif isinstance(getattr(network, "_orig_mod", None), nn.Module):  # torch.compile
            network = network._orig_mod  # type: ignore[assignment]  # noqa: SLF001
        else:
            return network


def _tensors(network: nn.Module) -> Iterator[Tensor]:
    """Yield the tensors that modules keep as plain attributes."""
    waiting: list[Any] = [vars(module) for module in network.modules()]
    seen = set()
    while waiting:
        thing = waiting.pop()
        if isinstance(thing, Tensor):
            yield thing
        elif isinstance(thing, dict | list | tuple) and id(thing) not in seen:
            seen.add(id(thing))
            waiting += thing.values() if isinstance(thing, dict) else thing

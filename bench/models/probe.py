"""Try a network on a few images before anything is measured: do its layers fit, are these logits."""

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import ArtefactError, ContractError
from bench.tensors import Images

_PATIENCE = 8
"""Passes after which tensors that a network changes itself must be at rest."""

_ROUNDING = 2.0**-21
"""Four units in the last place of float32."""

_GOLDEN = (math.sqrt(5) - 1) / 2
"""Its multiples, without their whole parts, cover [0, 1] evenly and hardly ever repeat."""

_CLOSE = 1e-4
"""How near to 1 float32 probabilities sum; logits of four different images do not all come so near by chance."""


def probe(network: nn.Module, shape: tuple[int, int, int], classes: int, *, where: str, what: str) -> None:
    """Run a black, a white and two noisy images through a network; one that changes itself is left where it rests.

    Raises:
        ArtefactError: if its layers do not fit each other or the images, or it tells other classes apart.
        ContractError: if it gives anything but one row of finite logits per image, such as probabilities, or does not
            come to rest.
    """
    noise = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    images = torch.cat([torch.zeros(1, *shape), torch.ones(1, *shape), noise])
    was = network.training
    network.eval()
    try:
        with torch.no_grad():
            given, restless = _asked(network, images)
    except Exception as error:  # noqa: BLE001 - layers that do not fit raise whatever their authors chose
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ArtefactError(
            f"{where}: its layers do not fit each other in {what}, or no {'×'.join(map(str, shape))} images ({reason})."
        ) from None
    finally:
        network.train(was)
    hold_logits(given, len(images), classes, f"{where}: {what}")
    if restless:
        raise ContractError(f"{where}: {what} changes its own tensors whenever it is asked, such as {restless[0]!r}.")


def _asked(network: nn.Module, images: Tensor) -> tuple[Any, list[str]]:
    """Return what a network gives, and which of its tensors do not come to rest within a few passes.

    Some networks normalise their weights inside the forward pass; after a few passes that is the identity, to the bit
    or up to rounding, which may go on back and forth in the last place.
    """
    given, kept, changed = None, dict[str, Tensor](), list(network.state_dict())
    for _ in range(_PATIENCE):
        kept = {name: tensor.clone() for name, tensor in network.state_dict().items() if name in changed}
        given = network(images)
        after = network.state_dict()
        changed = [name for name, tensor in kept.items() if not torch.equal(tensor, after[name])]
        if not changed:
            return given, []
    return given, [name for name in changed if not _close(kept[name], network.state_dict()[name])]


def _close(before: Tensor, after: Tensor) -> bool:
    """Tell whether two states of a tensor differ by rounding alone."""
    if not before.is_floating_point():
        return False
    return bool((before - after).abs().max() <= _ROUNDING * before.abs().max())


def hold_logits(given: object, count: int, classes: int, what: str) -> None:
    """Hold what a network gave for ``count`` images against what attacks need: one finite logit per class.

    Raises:
        ArtefactError: if there is another number of classes.
        ContractError: if it is something else, saying how to change the network.
    """
    if not isinstance(given, Tensor):
        held = f"{len(given)} entries" if isinstance(given, tuple | list | dict) else "no tensor"
        raise ContractError(
            f"{what} should give a tensor of logits, got a {type(given).__name__} of {held}; "
            "wrap it in a module that returns the logits alone."
        )
    if given.ndim == 1 or given.shape[1:] == (1,):
        raise ContractError(
            f"{what} gives one logit per image, and attacks compare classes; "
            "let its last layer give two, the first of them 0 with no weights, for a network of two classes."
        )
    if tuple(given.shape) != (count, classes):
        raise ArtefactError(f"{what} should give {classes} logits, got shape {tuple(given.shape[1:])} per image.")
    if given.dtype != torch.float32:
        raise ContractError(f"{what} should give float32, got {str(given.dtype).removeprefix('torch.')}.")
    if not given.isfinite().all():
        raise ContractError(f"{what} gives NaN or infinity for a black, a white or a noisy image.")
    last = _ending(given)
    if last:
        raise ContractError(
            f"{what} ends in {last}, and attacks need logits, whose gradients do not vanish; leave that layer out."
        )


def _ending(given: Tensor) -> str | None:
    """Return which normalisation over classes these rows went through, if one."""
    if (given >= 0).all() and (given.sum(dim=1) - 1).abs().max() < _CLOSE:
        return "softmax"
    if (given <= 0).all() and given.logsumexp(dim=1).abs().max() < _CLOSE:
        return "log-softmax"
    return None


def classes_of(network: nn.Module, images: Images) -> int:
    """Return how many classes a network tells apart, from a pass over two images.

    Raises:
        ContractError: if it does not take these images, or gives anything but one row of finite logits per image.
    """
    shown = images[:1].repeat(2, 1, 1, 1)
    name = type(network).__name__
    try:
        with torch.no_grad():
            given = network(shown)
    except Exception as error:  # noqa: BLE001 - layers that do not fit raise whatever their authors chose
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ContractError(f"{name} does not take images of shape {tuple(shown.shape[1:])} ({reason}).") from None
    width = given.shape[1] if isinstance(given, torch.Tensor) and given.ndim == 2 else 0
    hold_logits(given, 2, width, name)
    return width


def answers(network: nn.Module, shape: tuple[int, int, int]) -> list[int] | None:
    """Return what a network answers to two fixed images, in thousandths of its largest logit; the network stays alone.

    Coarse, so that another number of threads answers alike. None where it does not answer the same twice.
    """
    count = 2 * math.prod(shape)
    images = (torch.arange(count, dtype=torch.float64) * _GOLDEN % 1).float().view(2, *shape)
    asked = copy.deepcopy(network)
    with torch.no_grad():
        first, second = (_coarse(asked(images.to(_place(asked)))) for _ in range(2))
    return first if first == second else None


def _coarse(logits: Tensor) -> list[int]:
    values = logits.detach().double().cpu()
    if not values.isfinite().all():
        return []  # whoever measures it is told so by its own images
    largest = max(float(values.abs().max()), torch.finfo(torch.float32).tiny)
    return [round(1000 * value / largest) for value in values.flatten().tolist()]


def _place(network: nn.Module) -> torch.device:
    return next((tensor.device for tensor in network.state_dict().values()), torch.device("cpu"))

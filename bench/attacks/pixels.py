"""What the sparse attacks share: pixels are counted, replaced and given back here, always on the image itself.

A position counts as one pixel however many of its channels change. Images are assembled with ``torch.where`` from
clean and new values, so an untouched pixel is the clean one to the last bit and counting needs no tolerance.
"""

from dataclasses import fields, replace
from typing import Any, NamedTuple, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from bench.attacks.attack import Settings
from bench.errors import ContractError
from bench.tensors import Classifier, Flags, Images, Labels, Logits, portion

ROWS = 64
"""Images that one forward pass takes at least, where an attack tries several images per point."""

_GREEDY = 64
"""Up to this many pixels, elimination gives back one pixel at a time; above, as many as it can."""


State = TypeVar("State", bound=Any)


class Judgement(NamedTuple):
    """What the model says about images, for the attack's own guidance."""

    logits: Logits
    margins: Float[Tensor, " batch"]
    """Logit of the label minus the largest other one."""
    broken: Flags
    """The most likely class is another one; ties go to the smaller index, as everywhere."""


def judge(model: Classifier, images: Images, labels: Labels) -> Judgement:
    """Return logits, margins and verdicts of a batch.

    Raises:
        ContractError: if a logit is NaN or infinite; such a model gives no number.
    """
    logits = model(images)
    if not logits.isfinite().all():
        raise ContractError("the model returned NaN or infinite logits for a candidate; it gives no number.")
    return Judgement(logits, margins(logits, labels), logits.argmax(dim=1) != labels)


def margins(logits: Logits, labels: Labels) -> Float[Tensor, " batch"]:
    """Return the logit of the label minus the largest other one."""
    own = logits.gather(1, labels[:, None])
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return own[:, 0] - others.amax(dim=1)


def changed(originals: Images, images: Images) -> Bool[Tensor, "batch height width"]:
    """Tell which pixels differ, compared exactly."""
    return (images != originals).any(dim=1)


def count(originals: Images, images: Images) -> Int[Tensor, " batch"]:
    """Return how many pixels differ."""
    return changed(originals, images).flatten(1).sum(dim=1)


def assemble(originals: Images, mask: Bool[Tensor, "batch height width"], values: Images) -> Images:
    """Return the originals with the pixels of ``mask`` replaced by ``values``, brought into [0, 1]."""
    return torch.where(mask[:, None], values.clamp(0, 1), originals)


def corner_codes(flat: Float[Tensor, "batch channels pixels"]) -> Int[Tensor, "batch pixels"]:
    """Return which colour corner each pixel is, channel c being bit c, or 2**channels where it is none."""
    channels = flat.shape[1]
    weights = 2 ** torch.arange(channels, device=flat.device)
    codes = (flat.long() * weights[:, None]).sum(dim=1)
    return torch.where(((flat == 0) | (flat == 1)).all(dim=1), codes, 2**channels)


def corners(codes: Int[Tensor, "batch pixels"], channels: int) -> Float[Tensor, "batch channels pixels"]:
    """Return the colours in {0, 1}^channels that codes stand for."""
    places = torch.arange(channels, device=codes.device)
    return ((codes[:, None, :] >> places[None, :, None]) & 1).to(torch.float32)


def select(state: State, which: Flags) -> State:
    """Return a dataclass whose every field holds one entry per point, for some of its points."""
    return replace(state, **{field.name: getattr(state, field.name)[which] for field in fields(state)})


def top(scores: Float[Tensor, "batch pixels"], size: int) -> Bool[Tensor, "batch pixels"]:
    """Tell which pixels have the ``size`` largest scores; ties keep the earlier pixel.

    Only the smallest value of ``topk`` is used, for the order in which it lists ties is nowhere promised.
    """
    last = scores.topk(size, dim=1).values[:, -1:]
    above, level = scores > last, scores == last
    room = size - above.sum(dim=1, keepdim=True)
    return above | (level & (level.cumsum(dim=1) <= room))


def whole(settings: Settings, key: str, *, least: int = 1) -> int:
    """Read a setting that is a whole number.

    Raises:
        ContractError: if it is missing, below ``least`` or something else.
    """
    value = settings.get(key)
    if not isinstance(value, int) or value < least:
        raise ContractError(f"setting {key!r} must be a whole number of at least {least}, got {value!r}.")
    return value


def number(settings: Settings, key: str) -> float:
    """Read a setting that is a positive number.

    Raises:
        ContractError: if it is missing or something else.
    """
    value = settings.get(key)
    if not isinstance(value, int | float) or value <= 0:
        raise ContractError(f"setting {key!r} must be a positive number, got {value!r}.")
    return float(value)


def grid(settings: Settings) -> tuple[int, ...]:
    """Read the setting ``grid``: strictly rising numbers of pixels.

    Raises:
        ContractError: if it is missing or something else.
    """
    value = settings.get("grid")
    if not isinstance(value, tuple) or not value or min(value) < 1 or list(value) != sorted(set(value)):
        raise ContractError(f"setting 'grid' must be strictly rising numbers of pixels from 1 up, got {value!r}.")
    return value


@torch.no_grad()
def eliminate(
    model: Classifier, originals: Images, candidates: Images, labels: Labels, *, floor: int, budget: int
) -> Images:
    """Give back changed pixels as long as the images stay misclassified.

    Each sweep tries every changed pixel on its own and gives back the one whose return leaves the lowest margin;
    above 64 pixels it then tries to return the better half of all that may go at once. A point is done when no pixel
    may go, when it has at most ``floor`` changed pixels (fewer would not matter), or when its next sweep would cost
    more than what is left of its ``budget`` of forward passes. Where already the first sweep of more than 64 pixels
    would, the least changed ones are given back many at a time before.
    """
    images = candidates.clone(memory_format=torch.contiguous_format)
    left = torch.full_like(labels, budget)
    _thin(model, originals, images, labels, left, floor)
    active = torch.arange(len(labels), device=labels.device)
    while len(active):
        sizes = count(originals[active], images[active])
        affordable = sizes + (sizes > _GREEDY).long() <= left[active]
        active, sizes = active[(sizes > floor) & affordable], sizes[(sizes > floor) & affordable]
        if not len(active):
            break
        kept = _sweep(model, originals[active], images[active], labels[active])
        left[active] -= sizes + (sizes > _GREEDY).long()
        fewer = count(originals[active], kept) < sizes
        images[active] = kept
        active = active[fewer]
    return images


def _thin(
    model: Classifier, originals: Images, images: Images, labels: Labels, left: Int[Tensor, " batch"], floor: int
) -> None:
    """Give back the less changed half of all pixels, then half as many where that is too many, at a pass each.

    Works on the images in place and counts the passes down. Takes the points whose first sweep is beyond their budget,
    and lets go of them once a sweep is affordable and one half too many went.
    """
    share = torch.full_like(labels, 2)
    sizes = count(originals, images)
    beyond = (sizes > _GREEDY) & (sizes + 1 > left)
    while True:
        sizes = count(originals, images)
        needed = (sizes + (sizes > _GREEDY) > left) | (share == 2)
        rows = (beyond & needed & (sizes >= share) & (sizes > floor) & (left > 0)).nonzero().flatten()
        if not len(rows):
            return
        change = (images[rows] - originals[rows]).abs().sum(dim=1).flatten(1)
        change[change == 0] = torch.inf
        order = change.argsort(dim=1, stable=True).argsort(dim=1, stable=True)
        trial = _give_back(originals[rows], images[rows], order < (sizes // share)[rows, None])
        held = judge(model, trial, labels[rows]).broken
        images[rows[held]] = trial[held]
        share[rows[~held]] *= 2
        left[rows] -= 1


def _sweep(model: Classifier, originals: Images, images: Images, labels: Labels) -> Images:
    """Return the images with one pixel, or many, given back where that leaves them misclassified."""
    mask = changed(originals, images).flatten(1)
    row, pixel = mask.nonzero(as_tuple=True)
    tried = torch.full(mask.shape, torch.inf, device=images.device, dtype=images.dtype)
    for part in torch.arange(len(row), device=row.device).split(portion(images, max(ROWS, len(labels)))):
        single = torch.nn.functional.one_hot(pixel[part], mask.shape[1]).bool()
        trial = _give_back(originals[row[part]], images[row[part]], single)
        verdict = judge(model, trial, labels[row[part]])
        tried[row[part], pixel[part]] = torch.where(verdict.broken, verdict.margins, torch.inf)
    free = tried.isfinite()
    first = torch.zeros_like(mask).scatter_(1, tried.argmin(dim=1, keepdim=True), value=True) & free
    result = _give_back(originals, images, first)
    many = (mask.sum(dim=1) > _GREEDY).nonzero().flatten()
    if len(many):
        order = tried[many].argsort(dim=1, stable=True).argsort(dim=1, stable=True)
        half = (order < (free[many].sum(dim=1, keepdim=True) + 1) // 2) & free[many]
        trial = _give_back(originals[many], images[many], half)
        held = judge(model, trial, labels[many]).broken
        result[many[held]] = trial[held]
    return result


def _give_back(originals: Images, images: Images, which: Bool[Tensor, "batch pixels"]) -> Images:
    return torch.where(which.view(len(images), 1, *images.shape[2:]), originals, images)

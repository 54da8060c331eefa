"""Replay: in a process of its own, a network made again from its reference answers alike, and witnesses fool it."""

import multiprocessing
import queue
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from bench.attacks.draws import Draws
from bench.attacks.losses import margin
from bench.evaluation.checks.check import CHECKS, Check, Evidence, Rebuild, Stage, Thresholds
from bench.evaluation.checks.doubt import doubt, spread
from bench.evaluation.checks.gap import allowed, change, gap
from bench.lifeline import end_with_parent
from bench.models.source import state_digest
from bench.submission.schema import Flag, Level
from bench.tensors import Flags, Images, Labels, Logits, portion
from bench.threats import Norm

_BATCH = 250
ROUNDING = 1e-6
"""Share of the spread of an image's logits that float32 may turn with the size of a batch, eight of its steps."""

NEAR = 1 / 16
"""Share of the gap between classes on clean images that is never taken for rounding, however far logits spread."""

_NOISE = 0.05
"""In every pixel of the noisy images."""

_WAIT = 2.0
"""Seconds between looks at whether the other process still lives."""

Witnesses = dict[str, tuple[NDArray[np.float32], NDArray[np.int64]]]
"""Per norm, the images and the labels they should not get."""


class _Seen(NamedTuple):
    """What the clean process found.

    Attributes:
        digest: of the network made again.
        standing: witnesses that it withstands.
        logits: of the images that were asked about.
    """

    digest: str
    standing: int
    logits: NDArray[np.float32]


def examine(evidence: Evidence, thresholds: Thresholds) -> list[Flag]:
    """Send witnesses to a clean process and compare what it sees there; a network without a reference stays here.

    Clean images and noisy ones go along: after all attacks the network answers to them as one that never saw any.
    """
    campaign = evidence.campaign
    if campaign is None or evidence.rebuild is None:
        return []
    witnesses: Witnesses = {}
    for norm in Norm:
        rows = spread(campaign.pool.witnessed(norm).nonzero().flatten(), thresholds["points"])
        images = campaign.pool.witnesses(norm, rows).cpu().numpy()
        witnesses[norm.value] = images, evidence.labels[rows].cpu().numpy()
    asked, unit = _asked(evidence, thresholds["points"]), gap(evidence.logits)
    with torch.no_grad():
        here = torch.cat([evidence.model(part) for part in asked.split(portion(asked, _BATCH))]).cpu()
    seen = _elsewhere(evidence.rebuild, witnesses, unit, asked.contiguous().cpu().numpy())
    evidence.model.forwards += sum(len(labels) for _, labels in witnesses.values()) + len(asked)
    if isinstance(seen, str):
        says = f"The network could not be made again from its reference in a process of its own: {seen}."
        return [doubt("replay", Level.WITHHOLD, None, None, says)]
    if seen.digest != state_digest(evidence.network):
        says = "Made again from its reference, the network has other weights; a reader could not reproduce it."
        return [doubt("replay", Level.WITHHOLD, None, None, says)]
    moved = change(torch.from_numpy(seen.logits), here, evidence.logits)
    if not moved <= allowed(NEAR, evidence.logits):
        says = (
            f"A process of its own gets other logits of the same images, by {moved:.2g} of the gap between classes: "
            "the network remembers what it was asked."
        )
        return [doubt("replay", Level.WITHHOLD, moved, NEAR, says)]
    total, standing = sum(len(labels) for _, labels in witnesses.values()), seen.standing
    if standing <= thresholds["standing"] * total:
        return []
    says = (
        f"{standing} of {total} witnesses fool the network here and not in a process of its own; it remembers, or its "
        "arithmetic is not the same twice."
    )
    return [doubt("replay", Level.WITHHOLD, standing / total, thresholds["standing"], says)]


def _asked(evidence: Evidence, points: float) -> Images:
    """Return clean images and the same with noise in every pixel."""
    rows = spread(torch.arange(len(evidence.images), device=evidence.images.device), points)
    images = evidence.images[rows]
    signs = Draws(evidence.seed, "replay", 0).signs(evidence.ids[rows], 0, images[0].numel())
    return torch.cat([images, (images + _NOISE * signs.view(images.shape)).clamp(0, 1)])


def _elsewhere(rebuild: Rebuild, witnesses: Witnesses, unit: float, asked: NDArray[np.float32]) -> _Seen | str:
    """Return what the network made again answers, or why it could not be made."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=_replay, args=(rebuild, witnesses, unit, asked, answers), daemon=True)
    with _no_main_module():
        process.start()
    while True:
        try:
            found: _Seen | str = answers.get(timeout=_WAIT)
        except queue.Empty:
            if process.is_alive():
                continue
            return f"the process ended with code {process.exitcode}"
        process.join()
        return found


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Hide the program that runs from a process that starts, which would run it again to find what it defines."""
    program = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program


def _replay(rebuild: Rebuild, witnesses: Witnesses, unit: float, asked: NDArray[np.float32], answers: Any) -> None:
    """Make the network again and show it the images; runs in the clean process."""
    end_with_parent()
    try:
        network = rebuild()
        standing = 0
        with torch.no_grad():
            images = torch.from_numpy(asked)
            logits = torch.cat([network(part) for part in images.split(portion(images, _BATCH))])
            for found, labels in witnesses.values():
                fooling, truths = torch.from_numpy(found), torch.from_numpy(labels)
                size = portion(fooling, _BATCH)
                for part, truth in zip(fooling.split(size), truths.split(size), strict=True):
                    standing += int(withstands(network(part), truth, unit).sum())
        answers.put(_Seen(state_digest(network), standing, logits.numpy()))
    except Exception as error:  # noqa: BLE001 - whatever happens there must be told here
        answers.put(f"{type(error).__name__}: {error}".rstrip("."))


def withstands(logits: Logits, labels: Labels, unit: float) -> Flags:
    """Tell which images get their true label by more than rounding.

    The nearest witnesses lie on the boundary itself, where logits tie to the last bit and another batch settles the tie
    otherwise.

    Args:
        logits: of the witnesses.
        labels: their true classes.
        unit: the gap between classes on clean images.
    """
    exact = logits.double()
    spread = (exact - exact.mean(dim=1, keepdim=True)).abs().amax(dim=1)
    return margin(exact, labels) > (ROUNDING * spread).clamp_max(NEAR * unit)


CHECKS.register("replay")(
    Check(
        name="replay",
        stage=Stage.ATTACKS,
        examine=examine,
        thresholds={
            "points": "witnesses per norm",
            "standing": "share of witnesses that may stand, for the arithmetic of another device",
        },
        catches="networks that remember, that cannot be made again, or whose witnesses are no witnesses",
        source="Carlini et al. 2019, arXiv:1902.06705",
    )
)

"""What may be wrong with the machine or the engine, for the anchor to notice."""

from contextlib import AbstractContextManager
from dataclasses import replace
from unittest import mock

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from bench.attacks import draws, projections
from bench.evaluation.search.step import Step
from bench.threats import Norm
from tests.support.suspects import planned


class LowPrecision(TorchFunctionMode):
    """Rounds what layers multiply to ten bits, as tensor cores do unless they are told not to."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in (nn.functional.linear, torch.conv2d) and args[0].dtype is torch.float32:
            args = (*(part.to(torch.float16).float() for part in args[:2]), *args[2:])
        return func(*args, **(kwargs or {}))


def half_way() -> AbstractContextManager[object]:
    """Let every projection end half way to the rim of its ball."""
    whole = projections.Ball.project

    def project(ball, images):
        return (whole(ball, images) + ball._originals) / 2

    return mock.patch.object(projections.Ball, "project", project)


def other_draws() -> AbstractContextManager[object]:
    """Let every stream of random numbers start elsewhere."""
    return mock.patch.object(draws, "_GOLDEN", draws._GOLDEN + 2)


def without(name: str, norm: Norm) -> tuple[Step, ...]:
    """Return the attacks of the rules, one of which finds nothing any more."""

    def nothing(model, points, threat, settings, draws):
        return points.images.clone()

    return tuple(
        replace(step, attack=replace(step.attack, propose=nothing))
        if step.attack.name == name and step.threat.norm is norm
        else step
        for step in planned()
    )

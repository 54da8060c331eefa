"""Predicts what an evaluation costs before it runs."""

import time
from dataclasses import dataclass
from typing import Any

import torch

from bench.attacks.attack import Passes
from bench.data.dataset import DATASETS
from bench.evaluation import environment as machine
from bench.evaluation.plan import Plan
from bench.models.source import load

_TRIALS = 3


@dataclass(frozen=True, slots=True)
class Estimate:
    """The most that a plan can cost: every point correct, and standing to the end.

    Attributes:
        steps: per attack of the plan, the most passes per point.
        forward, backward: seconds per image and pass, measured on the dense model.
    """

    plan: Plan
    steps: tuple[Passes, ...]
    forward: float
    backward: float

    @property
    def seconds(self) -> float:
        """The most seconds that the passes take; drawing and bookkeeping come on top."""
        passes, points = self.plan.passes, len(self.plan.ids)
        return points * (passes.forwards * self.forward + passes.backwards * self.backward)

    def document(self) -> dict[str, Any]:
        """Return the estimate as one JSON document."""
        plan = self.plan
        return {
            "schema": "bench.plan/1",
            "entry": plan.name,
            "protocol": {"name": plan.protocol.name, "digest": plan.protocol.digest},
            "points": len(plan.ids),
            "standard": not plan.deviations,
            "deviations": list(plan.deviations),
            "attacks": [
                {
                    "threat": str(step.threat),
                    "name": step.attack.name,
                    "forwards_per_point": passes.forwards,
                    "backwards_per_point": passes.backwards,
                }
                for step, passes in zip(plan.steps, self.steps, strict=True)
            ],
            "most_forwards": plan.passes.forwards * len(plan.ids),
            "most_backwards": plan.passes.backwards * len(plan.ids),
            "most_seconds": round(self.seconds, 1),
        }

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Return columns and lines for a terminal."""
        columns = ["threat", "attack", "forwards/point", "backwards/point"]
        lines = [
            [str(step.threat), step.attack.name, f"{passes.forwards:,}", f"{passes.backwards:,}"]
            for step, passes in zip(self.plan.steps, self.steps, strict=True)
        ]
        return columns, lines

    def words(self) -> list[str]:
        """Return what the table does not say."""
        passes, points = self.plan.passes, len(self.plan.ids)
        most = (
            f"At most {passes.forwards * points:,} forward and {passes.backwards * points:,} backward passes, "
            f"about {self.seconds:,.0f} s; a point that falls early costs a hundredth of that."
        )
        return [most, *(f"Not a standard run: {deviation}." for deviation in self.plan.deviations)]


def estimate(plan: Plan) -> Estimate:
    """Time one small batch on the dense model, and multiply."""
    device = machine.device(plan.request.device)
    network = load(plan.request.model).classifier.to(device)
    images = DATASETS[plan.protocol.data.dataset].load(plan.protocol.data.split, plan.ids[:64]).images(device)
    forward = _seconds(network, images, backward=False)
    both = _seconds(network, images, backward=True)
    return Estimate(plan, tuple(step.passes(plan.classes) for step in plan.steps), forward, max(both - forward, 0.0))


def _seconds(network: torch.nn.Module, images: torch.Tensor, *, backward: bool) -> float:
    best = float("inf")
    for _ in range(_TRIALS):
        began = time.perf_counter()
        given = images.clone().requires_grad_(backward)
        with torch.set_grad_enabled(backward):
            total = network(given).sum()
        if backward:
            torch.autograd.grad(total, given)
        elif total.is_cuda:
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    return best / len(images)

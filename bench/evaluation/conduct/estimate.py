"""What an evaluation costs, told before it runs: the most it can, and what it will."""

import time
from dataclasses import dataclass
from typing import Any

import torch

from bench.attacks.attack import Passes
from bench.evaluation import environment
from bench.evaluation.conduct.rehearsal import Prediction, rehearse
from bench.evaluation.plan.plan import Plan
from bench.models.source import load
from bench.tensors import Classifier

_TRIALS = 3


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a plan costs.

    Attributes:
        steps: per attack of the plan, the most passes per point.
        forward, backward: seconds per image and pass, measured on the dense model.
        predicted: what a rehearsal says the run will cost; None without one.
    """

    plan: Plan
    steps: tuple[Passes, ...]
    forward: float
    backward: float
    predicted: Prediction | None

    def seconds(self, passes: Passes) -> float:
        """Return how long so many passes take; drawing and bookkeeping come on top."""
        return passes.forwards * self.forward + passes.backwards * self.backward

    @property
    def most(self) -> Passes:
        """The passes of a run in which every point is correct and stands to the end."""
        passes, points = self.plan.passes, len(self.plan.ids)
        return Passes(passes.forwards * points, passes.backwards * points)

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
            "most": self._figures(self.most),
            "predicted": self._figures(self.predicted.passes) if self.predicted else None,
        }

    def _figures(self, passes: Passes) -> dict[str, Any]:
        return {
            "forwards": passes.forwards,
            "backwards": passes.backwards,
            "seconds": round(self.seconds(passes), 1),
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
        says = [f"At most {self._spelled(self.most)}; a point that falls early costs a hundredth of that."]
        if self.predicted:
            found = self.predicted
            says.append(f"Predicted {self._spelled(found.passes)}, from {found.rehearsed} cascades rehearsed.")
        return says + [f"Not a standard run: {deviation}." for deviation in self.plan.deviations]

    def _spelled(self, passes: Passes) -> str:
        return (
            f"{passes.forwards:,} forward and {passes.backwards:,} backward passes, about {self.seconds(passes):,.0f} s"
        )


def estimate(plan: Plan, *, rehearsed: bool) -> Estimate:
    """Time one small batch on the dense model; rehearse the attacks on a few points if asked to."""
    device = environment.device(plan.request.device)
    network = load(plan.request.model).classifier.to(device)
    images = plan.source.load(plan.protocol.data.split, plan.ids[:64]).images(device)
    forward = _seconds(network, images, backward=False)
    both = _seconds(network, images, backward=True)
    passes = tuple(step.passes(plan.classes) for step in plan.steps)
    return Estimate(plan, passes, forward, max(both - forward, 0.0), rehearse(plan) if rehearsed else None)


def _seconds(model: Classifier, images: torch.Tensor, *, backward: bool) -> float:
    best = float("inf")
    for _ in range(_TRIALS):
        began = time.perf_counter()
        given = images.clone().requires_grad_(backward)
        with torch.set_grad_enabled(backward):
            total = model(given).sum()
        if backward:
            torch.autograd.grad(total, given)
        elif total.is_cuda:
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    return best / len(images)

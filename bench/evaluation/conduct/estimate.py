"""What an evaluation needs and costs, told at once: nothing is attacked, pruned or fetched."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Any, TypeVar

import torch

from bench.attacks.attack import Passes
from bench.data.dataset import EvalSet
from bench.errors import AbsentError, BenchError, InputError, UsageError
from bench.evaluation import environment
from bench.evaluation.conduct.adding import adding_to
from bench.evaluation.conduct.foresight import known_deviations, lacking_parent
from bench.evaluation.conduct.pace import Pace, pace
from bench.evaluation.conduct.parents import parent_first
from bench.evaluation.conduct.rehearsal import Prediction, Show, rehearse
from bench.evaluation.plan.descent import descend
from bench.evaluation.plan.plan import Plan
from bench.evaluation.plan.prepare import load_calibration, load_held_out, load_model, load_points, stand_in, strange
from bench.evaluation.search.journal import holds_work
from bench.lock import unfinished
from bench.models.source import LoadedModel
from bench.offline import offline

_NUMBERS = 50_000_000
"""Numbers of images up to which all points are looked at; of larger data sets a few, spread over all."""
_FEW = 32
_T = TypeVar("_T")


@dataclass(slots=True)
class Needs:
    """What stands between a plan and its run.

    Attributes:
        obstacles: why it would not start, each the error that it would end with.
        absent: what it would fetch, with where that goes.
        missed: what it would do without, under a flag.
    """

    obstacles: list[BenchError] = field(default_factory=list)
    absent: list[AbsentError] = field(default_factory=list)
    missed: list[InputError] = field(default_factory=list)

    def get(self, load: Callable[[], _T]) -> _T | None:
        """Return an input, or note that it is missing; what is plainly wrong ends a dry run as it ends the run."""
        try:
            return load()
        except AbsentError as error:
            self.absent.append(error)
        except InputError as error:
            self.obstacles.append(error)
        return None

    def look(self, load: Callable[[], object]) -> None:
        """Note an input that a run goes on without."""
        try:
            load()
        except InputError as error:
            self.missed.append(error)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a plan needs and costs.

    Attributes:
        steps: per attack of the plan, the most passes per point.
        deviations: why the result could not be submitted.
        needs: what is missing.
        unfinished: a run of this plan was interrupted and would go on.
        added: the folder holds a finished run, and the plan is that together with what was asked for.
        first: what would be measured before it: the dense parent, where no run of it is at hand.
        pace: of the network before pruning, with or without its weights; None where it cannot be built.
        predicted: what a rehearsal says the run will cost; None without one.
    """

    plan: Plan
    steps: tuple[Passes, ...]
    deviations: tuple[str, ...]
    needs: Needs
    unfinished: bool
    added: bool
    first: Plan | None
    pace: Pace | None
    predicted: Prediction | None

    @property
    def exit_code(self) -> int:
        """The code that the run would end with at its start; 0 if it would go on to its attacks."""
        return self.needs.obstacles[0].exit_code if self.needs.obstacles else 0

    @property
    def most(self) -> Passes:
        """The passes of a run in which every point is correct and stands to the end."""
        passes, points = self.plan.passes, len(self.plan.ids)
        return Passes(passes.forwards * points, passes.backwards * points)

    def document(self) -> dict[str, Any]:
        """Return the estimate as one JSON document."""
        plan, timed = self.plan, self.pace
        return {
            "schema": "bench.plan/1",
            "entry": plan.name,
            "out": str(plan.out),
            "unfinished": self.unfinished,
            "added": self.added,
            "first": self.first and {"entry": self.first.name, "out": str(self.first.out)},
            "protocol": {"name": plan.protocol.name, "digest": plan.protocol.digest},
            "points": len(plan.ids),
            "standard": not self.deviations,
            "deviations": list(self.deviations),
            "obstacles": [str(error) for error in self.needs.obstacles],
            "absent": [str(error) for error in self.needs.absent],
            "missed": [str(error) for error in self.needs.missed],
            "attacks": [
                {
                    "threat": str(step.threat),
                    "name": step.attack.name,
                    "forwards_per_point": passes.forwards,
                    "backwards_per_point": passes.backwards,
                }
                for step, passes in zip(plan.steps, self.steps, strict=True)
            ],
            "seconds_per_image": timed and {"batch": timed.batch, "forward": timed.forward, "backward": timed.backward},
            "most": self._figures(self.most),
            "predicted": self._figures(self.predicted.passes) if self.predicted else None,
        }

    def _figures(self, passes: Passes) -> dict[str, Any]:
        return {
            "forwards": passes.forwards,
            "backwards": passes.backwards,
            "seconds": self.pace and round(self.pace.seconds(passes), 1),
        }

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Return columns and lines for a terminal."""
        columns = ["threat", "attack", "forwards/point", "backwards/point", "time/point"]
        lines = [
            [
                str(step.threat),
                step.attack.name,
                f"{passes.forwards:,}",
                f"{passes.backwards:,}",
                duration(self.pace.seconds(passes)) if self.pace else "–",
            ]
            for step, passes in zip(self.plan.steps, self.steps, strict=True)
        ]
        return columns, lines

    def words(self) -> list[str]:
        """Return what the table does not say."""
        plan, found, timed = self.plan, self.predicted, self.pace
        says = [f"If every point stood to the end: {self._spelled(self.most)}; one that falls early costs a hundredth."]
        if timed:
            says.append(
                f"Timed on the network before pruning, {timed.batch} images at once: {1000 * timed.forward:.3g} ms "
                f"forward and {1000 * timed.backward:.3g} ms back per image. The checks come on top."
            )
        if found:
            says.append(f"Predicted: {self._spelled(found.passes)}, from {found.rehearsed} cascades rehearsed.")
        goes = "Unfinished work lies beside it, and the run goes on from there." if self.unfinished else ""
        goes += "It holds a finished run, to which this is added: nothing is attacked twice." if self.added else ""
        says.append(f"The result goes to {plan.out}. {goes}".rstrip())
        if self.first:
            says.append(
                f"No run of the dense parent {self.first.request.model} under these rules is at hand: it is measured "
                f"first, into {self.first.out}, and may cost as much again (--no-parent-run leaves it out)."
            )
        says += plan.remarks
        says += [f"Missing: {error}" for error in self.needs.absent]
        says += [f"Not held out, which leaves a flag: {error}" for error in self.needs.missed]
        says += [f"Before it can start: {error}" for error in self.needs.obstacles]
        return says + [f"Cannot be submitted: {deviation}." for deviation in self.deviations]

    def _spelled(self, passes: Passes) -> str:
        counts = f"{passes.forwards:,} forward and {passes.backwards:,} backward passes"
        return f"{counts}, about {duration(self.pace.seconds(passes))}" if self.pace else counts


def estimate(plan: Plan, *, rehearsed: bool = False, show: Show | None = None) -> Estimate:
    """Look at everything that a run would start with, and time one batch of the network.

    Args:
        plan: what would be done.
        rehearsed: predict the passes, too, by attacking a few points, where nothing is missing.
        show: hears how far the rehearsal is.

    Raises:
        UsageError: if the network does not take these images or tells other classes apart.
        ArtefactError: if its weights are unsafe or do not fit, or are not of the parent that is named.
        DisagreementError: if what is told of a network that came pruned is not what was measured.
        ContractError: if it fails on an image.
    """
    needs, asked = Needs(), plan
    try:
        plan = adding_to(plan)
    except UsageError as error:
        needs.obstacles.append(error)
    deviations = known_deviations(plan)
    device = environment.device(plan.request.device)
    with offline():
        loaded = needs.get(lambda: load_model(plan))
        points = needs.get(lambda: _look(plan))
        deviations += strange(plan, points, needs.get(lambda: load_calibration(plan)))
        if plan.protocol.held_out is not None and points is not None:
            needs.look(lambda: load_held_out(plan))
        dense = None if loaded is None else needs.get(partial(_dense, plan, loaded))
        first = needs.get(partial(parent_first, plan, dense))
        if lacking := needs.get(partial(lacking_parent, plan, dense)):
            deviations.append(lacking)
    found = clocked(plan, loaded or stand_in(plan), points, device)
    predicted = rehearse(plan, show) if rehearsed and not (needs.obstacles or needs.absent) else None
    steps = tuple(step.passes(plan.classes) for step in plan.steps)
    return Estimate(
        plan,
        steps,
        tuple(deviations),
        needs,
        plan.request.resume and holds_work(unfinished(plan.out)),
        plan is not asked,
        first,
        found,
        predicted,
    )


def _dense(plan: Plan, loaded: LoadedModel) -> LoadedModel | None:
    """Return the dense parent; what is told of a network that came pruned is held to its weights."""
    if plan.request.origin is None:
        return None if plan.request.dense else loaded
    return descend(plan.request.origin, loaded, loaded.classifier, torch.full((1, *loaded.shape), 0.5)).parent


def clocked(plan: Plan, network: LoadedModel | None, points: EvalSet | None, device: torch.device) -> Pace | None:
    """Time one batch of a network; None where there is none."""
    if network is None:
        return None
    images = torch.full((1, *network.shape), 0.5) if points is None else points.head(_FEW).images()
    with environment.exact_arithmetic():
        return pace(network, images.to(device), plan.request.batch_size, plan.request.memory)


def _look(plan: Plan) -> EvalSet:
    """Load the points, or a few of them where decoding all takes long."""
    ids = plan.ids
    if len(ids) * prod(plan.source.shape) <= _NUMBERS:
        return load_points(plan)
    return plan.source.load(plan.protocol.data.split, ids[:: math.ceil(len(ids) / _FEW)])


def duration(seconds: float) -> str:
    """Spell a length of time in the unit that suits it: ``40 s``, ``12 min``, ``7.5 h``, ``3.1 days``."""
    unit, size = next(((unit, size) for unit, size in _UNITS if seconds >= 2 * size), ("s", 1))
    many = seconds / size
    return f"{many:,.0f} {unit}" if many >= 10 else f"{many:.2g} {unit}"


_UNITS = (("days", 86400), ("h", 3600), ("min", 60))

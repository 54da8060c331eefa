"""What a sweep would do and cost, told before it begins: nothing is attacked, pruned or fetched."""

import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from bench.attacks.attack import Passes
from bench.errors import BenchError
from bench.evaluation import environment
from bench.evaluation.conduct.estimate import Needs, clocked, duration
from bench.evaluation.conduct.grid import Planned
from bench.evaluation.conduct.pace import Pace
from bench.evaluation.conduct.rehearsal import Show
from bench.evaluation.plan.plan import Plan
from bench.evaluation.plan.prepare import load_calibration, load_model, load_points, stand_in, strange
from bench.evaluation.record.standing import Standing
from bench.models.source import ModelRef
from bench.offline import offline
from bench.submission.files import RESULT_FILE, read_result


@dataclass(frozen=True, slots=True)
class Row:
    """What is foreseen of one cell.

    Attributes:
        state: of the cell now.
        most: passes if every point stood to the end; checks and clean passes come on top.
        seconds: that these take; None where the network cannot be timed.
        spent: passes that it took, where it is done.
    """

    name: str
    parent: str | None
    state: Standing
    most: Passes
    seconds: float | None
    spent: Passes | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is foreseen of a sweep.

    Attributes:
        workers: how many share the work.
        memory: bytes that a worker needs at most, as measured here on one batch of each network.
        needs: what is missing.
        deviations: why nothing of it could be submitted, as the images say.
    """

    rows: tuple[Row, ...]
    workers: int
    memory: int
    needs: Needs
    deviations: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """The code of the first obstacle; 0 where there is none."""
        return self.needs.obstacles[0].exit_code if self.needs.obstacles else 0

    @property
    def left(self) -> list[Row]:
        """The cells that are still to be carried out."""
        return [row for row in self.rows if row.state is not Standing.DONE]

    @property
    def share(self) -> float | None:
        """How much of the most that it could cost a cell that is done did cost; None where none is."""
        done = [(row.spent, row.most) for row in self.rows if row.spent is not None]
        most = sum(most.forwards + most.backwards for _, most in done)
        return sum(spent.forwards + spent.backwards for spent, _ in done) / most if most else None

    @property
    def seconds(self) -> float | None:
        """How long what is left takes at most, shared among the workers."""
        known = [row.seconds for row in self.left]
        return None if None in known else sum(filter(None, known)) / self.workers

    def document(self) -> dict[str, Any]:
        """Return the forecast as one JSON document."""
        return {
            "schema": "bench.sweep-plan/1",
            "cells": [
                {
                    "entry": row.name,
                    "parent": row.parent,
                    "state": row.state.value,
                    "most": {"forwards": row.most.forwards, "backwards": row.most.backwards, "seconds": row.seconds},
                    "spent": row.spent and {"forwards": row.spent.forwards, "backwards": row.spent.backwards},
                }
                for row in self.rows
            ],
            "workers": self.workers,
            "seconds": self.seconds,
            "share": self.share,
            "memory": self.memory,
            "obstacles": [str(error) for error in self.needs.obstacles],
            "absent": [str(error) for error in self.needs.absent],
            "deviations": list(self.deviations),
        }

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Return columns and lines for a terminal."""
        lines = [
            [
                row.name,
                row.state.value,
                f"{row.most.forwards:,}",
                f"{row.most.backwards:,}",
                "–" if row.seconds is None else duration(row.seconds),
            ]
            for row in self.rows
        ]
        return ["cell", "state", "forwards at most", "backwards at most", "time at most"], lines

    def words(self) -> list[str]:
        """Return what the table does not say."""
        left, most = self.left, Passes(0, 0)
        for row in left:
            most += row.most
        says = [
            f"{len(self.rows)} cells, {len(self.rows) - len(left)} done; if every point stood to the end, the others "
            f"took {most.forwards:,} forward and {most.backwards:,} backward passes"
            + ("." if self.seconds is None else f", about {duration(self.seconds)} on {self.workers} workers.")
        ]
        if self.share is not None and self.seconds is not None and left:
            rest = duration(self.share * self.seconds)
            says.append(
                f"Those that are done took {100 * self.share:.0f} % of their most; at that rate {rest} are left."
            )
        says.append(f"A worker takes {self.memory / 2**20:,.0f} MiB, measured on one batch of each network.")
        says += [f"Missing: {error}" for error in self.needs.absent]
        says += [f"Cannot be submitted: {deviation}." for deviation in self.deviations]
        return says + [f"Before it can start: {error}" for error in self.needs.obstacles]


def forecast(cells: Sequence[Planned], states: dict[str, Standing], workers: int, show: Show) -> Forecast:
    """Look at everything that a sweep would start with, and time one batch of each of its networks.

    Args:
        cells: of the sweep.
        states: of the cells, by name.
        workers: how many share the work.
        show: hears which network is looked at.

    Raises:
        BenchError: if a network does not go with the points, or fails on an image.
    """
    needs, deviations, paces = Needs(), list[str](), dict[ModelRef, Pace | None]()
    refs = dict.fromkeys(cell.plan.request.model for cell in cells)
    rows = []
    for cell in cells:
        plan = cell.plan
        ref = plan.request.model
        if ref not in paces:
            show(f"timing {ref}", len(paces), len(refs))
            paces[ref] = _pace(plan, needs, deviations)
        steps, points = plan.passes, len(plan.ids)
        most, pace = Passes(steps.forwards * points, steps.backwards * points), paces[ref]
        state = states[cell.name]
        seconds = None if pace is None else round(pace.seconds(most), 1)
        rows.append(Row(cell.name, cell.parent, state, most, seconds, _spent(plan, state)))
    return Forecast(tuple(rows), workers, _memory(cells), needs, tuple(deviations))


def _pace(plan: Plan, needs: Needs, deviations: list[str]) -> Pace | None:
    device = environment.device(plan.request.device)
    with offline():
        loaded = needs.get(partial(load_model, plan))
        points = needs.get(partial(load_points, plan))
        told = strange(plan, points, needs.get(partial(load_calibration, plan)))
        deviations += [one for one in told if one not in deviations]
    return clocked(plan, loaded or stand_in(plan), points, device)


def _spent(plan: Plan, state: Standing) -> Passes | None:
    if state is not Standing.DONE:
        return None
    try:
        cost = read_result(plan.out / RESULT_FILE).cost
    except BenchError:
        return None
    return Passes(cost.forwards, cost.backwards)


def _memory(cells: Sequence[Planned]) -> int:
    """Return the most memory that this process has taken, or its accelerator: that of a worker at one batch."""
    device = environment.device(cells[0].plan.request.device)
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024  # what the system counts in
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

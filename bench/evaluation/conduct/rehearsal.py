"""Predicts the passes of an evaluation from a rehearsal on a few points, chosen after a look at all of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bench.attacks.attack import Access, Passes
from bench.attacks.losses import margin
from bench.evaluation import environment
from bench.evaluation.conduct.run import aim
from bench.evaluation.conduct.scenarios import black_box
from bench.evaluation.judge.pool import Pool
from bench.evaluation.plan.plan import Plan
from bench.evaluation.plan.prepare import batch_of, prepare
from bench.evaluation.search.cascade import Cascade, Target
from bench.evaluation.search.step import Step
from bench.tensors import Flags
from bench.threats import Scenario

Show = Callable[[str, int, int], None]
"""(what is rehearsed, rounds finished, rounds in all): what a progress bar shows."""

SAMPLE = 16
"""Points rehearsed of those that the first attack of a cascade breaks, and as many of those that it does not."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the attacks and the scenarios of a plan will cost.

    Attributes:
        correct: points that are classified correctly and so attacked.
        passes: of all points together; checks and clean passes come on top.
        rehearsed: points that went through whole cascades to find out.
    """

    correct: int
    passes: Passes
    rehearsed: int


class _Score:
    """Tells how far a rehearsal is: per threat model one look at all points, then two samples."""

    def __init__(self, plan: Plan, show: Show) -> None:
        self._show, self._classes, self._blind = show, plan.classes, Scenario.BLACK_BOX in plan.protocol.scenarios
        self._total = sum(self.look(steps) + 2 * self.rest(steps) for steps in _cascades(plan))
        self._parts = self._past = self._current = 0

    def look(self, steps: Sequence[Step]) -> int:
        """Return the rounds of the first attack."""
        return self._rounds(steps[:1])

    def rest(self, steps: Sequence[Step]) -> int:
        """Return the rounds of the other attacks, and of the query attacks once more where they are measured alone."""
        again = [step for step in steps if self._blind and step.attack.access is Access.BLACK_BOX]
        return self._rounds([*steps[1:], *again])

    def watch(self, threat: str, attack: str, done: int, rounds: int, standing: int) -> None:
        """Hear of a round of any attack, as a cascade tells it."""
        if done == 0:
            self._past, self._current = self._past + self._current, rounds
        self._show(f"rehearsing {threat} {attack}, {standing} standing", self._past + done, self._total)

    def leave(self, rounds: int) -> None:
        """Count a part as done, whether all of its rounds were needed or not."""
        self._parts += rounds
        self._past, self._current = self._parts, 0

    def _rounds(self, steps: Sequence[Step]) -> int:
        return sum(len(step.attack.rounds(step.settings, step.threat, self._classes)) for step in steps)


def _cascades(plan: Plan) -> list[list[Step]]:
    return [[step for step in plan.steps if step.threat == threat] for threat in plan.threats]


def rehearse(plan: Plan, show: Show | None = None) -> Prediction:
    """Predict the passes of a plan; ``show`` hears of every round.

    The first attack of each cascade runs on every point, which tells the points that fall from those that stand; the
    cost of the rest hardly varies within either kind, so a few points of each say what the others will cost.
    """
    device = environment.device(plan.request.device)
    with environment.exact_arithmetic():
        cell = prepare(plan)
        batch = batch_of(cell, device)
        target = aim(cell, device, batch)
        correct = target.logits.argmax(dim=1) == target.labels
        total, rehearsed = Passes(0, 0), 0
        score = _Score(plan, show or (lambda *_: None))
        for steps in _cascades(plan):
            cost, points = _threat(plan, target, correct, steps, batch, score)
            total += cost
            rehearsed += points
    return Prediction(int(correct.sum()), total, rehearsed)


def _threat(
    plan: Plan, target: Target, correct: Flags, steps: Sequence[Step], batch: int, score: _Score
) -> tuple[Passes, int]:
    threat = steps[0].threat
    pool = Pool(target.images, correct, [threat])
    cascade = Cascade(target, pool, plan.seed, batch, watch=score.watch)
    first = cascade.run(steps[0].attack, threat, steps[0].settings)
    score.leave(score.look(steps))
    total, rehearsed = Passes(first.forwards, first.backwards), 0
    standing = pool.standing(threat.norm, float(threat.epsilon))
    for kind in (standing, correct & ~standing):
        rows = _spread(kind.nonzero().flatten(), target)
        if len(rows):
            cost = _rest(plan, target, pool, rows, steps, batch, score)
            share = int(kind.sum()) / len(rows)
            total += Passes(round(cost.forwards * share), round(cost.backwards * share))
            rehearsed += len(rows)
        score.leave(score.rest(steps))
    return total, rehearsed


def _rest(
    plan: Plan, target: Target, known: Pool, rows: Tensor, steps: Sequence[Step], batch: int, score: _Score
) -> Passes:
    """Run what follows the first attack on some points, and the black-box scenario, and return the cost."""
    threat = steps[0].threat
    some = replace(
        target, images=target.images[rows], labels=target.labels[rows], ids=target.ids[rows], logits=target.logits[rows]
    )
    pool = Pool(some.images, known.correct[rows], [threat])
    for norm, distance in known.distance.items():
        pool.distance[norm] = distance[rows].clone()  # attacks look at distances alone
    pool.alone[threat.norm] = known.alone[threat.norm][rows].clone()
    for attack, broken in known.broken[threat.norm].items():
        pool.book(threat.norm, attack, broken[rows])
    cascade = Cascade(some, pool, plan.seed, batch, watch=score.watch)
    cascade.tried[threat.norm, steps[0].attack.name] = pool.correct.clone()
    total = Passes(0, 0)
    for step in steps[1:]:
        tally = cascade.run(step.attack, threat, step.settings)
        total += Passes(tally.forwards, tally.backwards)
    if Scenario.BLACK_BOX in plan.protocol.scenarios:
        total += Passes(black_box(cascade, steps, [threat], plan.protocol.black_box).forwards, 0)
    return total


def _spread(rows: Tensor, target: Target) -> Tensor:
    """Return at most SAMPLE of the rows, evenly spread from the least to the most certain.

    How surely the model classifies a clean image says much about how long attacks on it take, so that a spread over
    certainty stands for all points better than any other as large.
    """
    if len(rows) <= SAMPLE:
        return rows
    certainty = margin(target.logits[rows], target.labels[rows])
    middles = (torch.arange(SAMPLE, device=rows.device) + 0.5) * len(rows) / SAMPLE
    return rows[certainty.argsort(stable=True)[middles.long()]].sort().values

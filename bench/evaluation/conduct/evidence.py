"""Gathers what the checks may look at from a run in progress."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from bench.attacks.attack import Passes
from bench.evaluation.checks.check import Campaign, Claim, Evidence, Rebuild, Sides, Turn
from bench.evaluation.judge.pool import Pool
from bench.evaluation.plan.plan import Plan
from bench.evaluation.plan.prepare import Cell, load_held_out, load_whole
from bench.evaluation.search.cascade import Cascade, Tally, Target
from bench.evaluation.search.meter import Meter
from bench.evaluation.search.step import Step
from bench.tensors import Flags
from bench.threats import Norm, Scenario

_OTHER_SEED = 1_000_003
"""Added to the run's seed, so that checks never draw the numbers that the attacks drew."""


def before_attacks(cell: Cell, target: Target, rebuild: Rebuild | None) -> Evidence:
    """Return what is known before any attack."""
    plan, classes = cell.plan, cell.loaded.classes
    parent = None if cell.parent is None else cell.parent.classifier.to(target.images.device)
    return Evidence(
        network=cell.pruned.network,
        model=Meter(target.classifier, classes),
        images=target.images,
        labels=target.labels,
        ids=target.ids,
        logits=target.logits,
        seed=plan.seed + _OTHER_SEED,
        planned=_planned(plan),
        parent=parent,
        parent_model=None if parent is None else Meter(parent, classes),
        claim=Claim(cell.structure.value, plan.request.sparsity, None if cell.parent is None else str(cell.parent.ref)),
        measured=cell.pruned.measured,
        rebuild=rebuild,
        held_out=None if plan.protocol.held_out is None else partial(_sides, plan),
    )


def _sides(plan: Plan) -> Sides:
    return Sides(load_whole(plan), load_held_out(plan))


def _planned(plan: Plan) -> tuple[Step, ...]:
    """Return the attacks of released rules; what a preset or rules of one's own change is held against nothing."""
    return tuple(step for step in plan.steps if plan.protocol.keeps(step.threat.norm))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What stood and who broke what when the cascades had ended, before any scenario was measured."""

    standing: Mapping[Norm, int]
    lent: Mapping[Norm, Flags]
    broken: Mapping[Norm, Mapping[str, int]]

    @classmethod
    def of(cls, plan: Plan, pool: Pool) -> "Snapshot":
        """Copy what scenarios and checks will change."""
        return cls(
            _standing(plan, pool),
            {threat.norm: pool.lent(threat) for threat in plan.threats},
            {norm: {name: int(points.sum()) for name, points in row.items()} for norm, row in pool.broken.items()},
        )


def after_attacks(
    evidence: Evidence,
    plan: Plan,
    cascade: Cascade,
    tallies: Mapping[Norm, Sequence[Tally]],
    then: Snapshot,
    scenarios: Mapping[str, object],
) -> Evidence:
    """Return the evidence with what the attacks and the scenarios did."""
    pool, turns = cascade.pool, []
    waiting = {norm: list(row) for norm, row in tallies.items()}
    for step in plan.steps:
        tally = waiting[step.threat.norm].pop(0)
        broken = then.broken[step.threat.norm].get(step.attack.name, 0)
        turns.append(Turn(step.attack, step.threat, step.settings, tally, broken))
    now = _standing(plan, pool)
    campaign = Campaign(
        pool=pool,
        turns=tuple(turns),
        lent=then.lent,
        transferred={norm: before - now[norm] for norm, before in then.standing.items()},
        curves={
            curve.norm: dict(
                zip(curve.epsilons, pool.counts(curve.norm, [float(e) for e in curve.epsilons]), strict=True)
            )
            for curve in plan.protocol.curves
            if curve.norm in tallies
        },
    )
    claim = replace(evidence.claim, parent_is_measured=Scenario.TRANSFER in scenarios)
    return replace(evidence, campaign=campaign, claim=claim)


def spent(evidence: Evidence) -> Passes:
    """Return the passes that the checks have made."""
    parent = evidence.parent_model
    return Passes(
        evidence.model.forwards + (parent.forwards if parent else 0),
        evidence.model.backwards + (parent.backwards if parent else 0),
    )


def _standing(plan: Plan, pool: Pool) -> dict[Norm, int]:
    return {threat.norm: int(pool.standing(threat.norm, float(threat.epsilon)).sum()) for threat in plan.threats}

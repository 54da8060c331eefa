"""What is left standing when the adversary knows less: queries only, or the dense parent only."""

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np
import torch

from bench.attacks.attack import Access, Settings
from bench.evaluation.conduct.parents import Parent, find_parent
from bench.evaluation.judge.distances import ceiling
from bench.evaluation.judge.pool import Pool
from bench.evaluation.judge.verify import verify
from bench.evaluation.plan.prepare import Cell
from bench.evaluation.search.cascade import Cascade
from bench.evaluation.search.step import Step
from bench.submission.files import POINTS_FILE
from bench.submission.points import read_points
from bench.submission.schema import ScenarioRecord
from bench.threats import Norm, Scenario, ThreatModel

NO_TRANSFER = "no transfer from the parent"
"""Why a run is no standard one that has no dense parent to replay in one of its norms; what is wrong follows."""


def measure_scenarios(cell: Cell, cascade: Cascade) -> tuple[dict[str, ScenarioRecord], list[str]]:
    """Measure the protocol's scenarios; return them, and why one is missing."""
    plan = cell.plan
    found: dict[str, ScenarioRecord] = {}
    missing: list[str] = []
    if Scenario.TRANSFER in plan.protocol.scenarios and cell.parent is not None:
        parent, why = find_parent(plan, cell.parent)
        if parent:
            found[Scenario.TRANSFER.value] = transfer(cascade, parent, plan.threats)
        if why:
            missing.append(f"{NO_TRANSFER}: {why}")
    if Scenario.BLACK_BOX in plan.protocol.scenarios:
        blind = black_box(cascade, plan.steps, plan.threats, plan.protocol.black_box)
        if blind.robust:
            found[Scenario.BLACK_BOX.value] = blind
    return found, missing


def transfer(cascade: Cascade, parent: Parent, threats: Sequence[ThreatModel]) -> ScenarioRecord:
    """Replay the parent's witnesses on the pruned model: forward passes only.

    What they break joins the pool, so that it is broken as far as is known. The scenario is counted for the threat
    models that the parent was attacked under.
    """
    pool, target = cascade.pool, cascade.target
    place = {int(point): row for row, point in enumerate(target.ids.tolist())}
    threats = [threat for threat in threats if parent.result.threat(threat.norm)]
    standing = {threat.norm: pool.correct.clone() for threat in threats}
    forwards = 0
    for ids, images in chain.from_iterable(parent.witnesses(norm) for norm in Norm):
        keep = [
            index for index, point in enumerate(ids.tolist()) if point in place and bool(pool.correct[place[point]])
        ]
        if not keep:
            continue
        rows = torch.tensor([place[int(ids[index])] for index in keep], device=target.ids.device)
        candidates = torch.from_numpy(images[keep]).to(target.images.device)
        forwards += len(keep)
        verdict = verify(target.classifier, target.images[rows], candidates, target.labels[rows], threats[0])
        pool.absorb(rows, candidates, verdict)
        for threat in threats:
            inside = verdict.distances[threat.norm] <= ceiling(threat)
            standing[threat.norm][rows] &= ~(verdict.fooled & inside)
    table = read_points(parent.folder / POINTS_FILE)
    here = np.isin(table.id, list(place))
    return ScenarioRecord(
        robust={norm: int(left.sum()) for norm, left in standing.items()},
        forwards=forwards,
        parent={threat.norm: int((table.standing(threat.norm, threat.epsilon) & here).sum()) for threat in threats},
    )


def black_box(
    cascade: Cascade, steps: Sequence[Step], threats: Sequence[ThreatModel], budgets: Mapping[str, Settings]
) -> ScenarioRecord:
    """Attack every correct point with the query attacks of each threat model alone, at its radius.

    What a query attack did in the cascade to a point that stood counts here, too; only the points that another attack
    had broken before its turn are attacked again, and nothing is looked for beyond the radius. A threat model without
    query attacks is left out.

    Args:
        cascade: as the attacks left it.
        steps: of the plan.
        threats: of the plan.
        budgets: settings by attack name, where they are not those of the cascade.
    """
    pool = cascade.pool
    robust: dict[Norm, int] = {}
    forwards = 0
    for threat in threats:
        fallen, radius = torch.zeros_like(pool.correct), float(threat.epsilon)
        blind_steps = [step for step in steps if step.threat == threat and step.attack.access is Access.BLACK_BOX]
        if not blind_steps:
            continue
        for step in blind_steps:
            ledger = pool.broken[threat.norm]
            if step.attack.name in ledger:
                fallen |= ledger[step.attack.name]
            again = pool.correct & ~fallen & ~cascade.tried[threat.norm, step.attack.name]
            settings = step.attack.within(budgets.get(step.attack.name, step.settings), radius)
            if settings is None:
                continue
            blind = Pool(pool.originals, again, [threat])
            alone = Cascade(
                cascade.target, blind, cascade.seed, cascade.batch, cascade.recall, cascade.may_shrink, cascade.watch
            )
            forwards += alone.run(step.attack, threat, settings).forwards
            fallen |= again & ~blind.standing(threat.norm, radius)
            pool.merge(blind)
        robust[threat.norm] = int((pool.correct & ~fallen).sum())
    return ScenarioRecord(robust=robust, forwards=forwards)

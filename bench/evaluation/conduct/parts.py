"""A cell in parts: each proposes for some of the points, and the whole finds all of it in their journals.

What an attack proposes for a point hangs on that point alone, and only the whole judges, so it makes no difference who
proposed what. The parts of a cell are cut by the order of its points, whoever carries them out.
"""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.evaluation import environment
from bench.evaluation.conduct.run import aim, header_of
from bench.evaluation.conduct.scenarios import black_box
from bench.evaluation.environment import exact_arithmetic
from bench.evaluation.judge.pool import Pool
from bench.evaluation.plan.plan import Plan
from bench.evaluation.plan.prepare import batch_of, prepare
from bench.evaluation.search.cascade import Cascade, Watch
from bench.evaluation.search.journal import Journal, Tell, Written
from bench.evaluation.search.recall import Recall
from bench.lock import held, unfinished
from bench.threats import Scenario


def parts_of(plan: Plan, size: int | None) -> list[tuple[int, ...]]:
    """Return the ids of each part; none where a cell is carried out as a whole."""
    alone = plan.request.engine == "native"  # what the reference proposes for a point hangs on its batch
    if not size or not alone or len(plan.ids) <= size:
        return []
    return [plan.ids[first : first + size] for first in range(0, len(plan.ids), size)]


def place_of(plan: Plan, part: Sequence[int]) -> Path:
    """Return the place of a part, beside that of its cell; only unfinished work ever lies there."""
    return plan.out.with_name(f"{plan.out.name}--part-{part[0]}-{part[-1] + 1}")


def propose(plan: Plan, part: tuple[int, ...], watch: Watch | None, tell: Tell, written: Written) -> None:
    """Let every attack of a plan propose for some of its points, into a journal beside that of the plan.

    Raises:
        UsageError: if another process is at it, or the folder holds the work of another run.
        ContractError: if the model or a component breaks its contract.
    """
    with held(place_of(plan, part)) as folder:
        altered = environment.code_is_dirty()
        device = environment.device(plan.request.device)
        with exact_arithmetic():
            cell = prepare(plan)  # whole, so that what is pruned is the same in every part
            batch = batch_of(cell, device)
            header = header_of(cell, batch, device, altered=altered)
            journal = Journal.open(folder, header, resume=plan.request.resume, tell=tell, written=written)
            target = aim(replace(cell, points=cell.points.take(part)), device, batch)
            pool = Pool(target.images, target.logits.argmax(dim=1) == target.labels, plan.threats)
            recall = Recall(journal, target.images, target.labels, target.ids)
            cascade = Cascade(target, pool, plan.seed, batch, recall, watch=watch)
            for step in plan.steps:
                cascade.run(step.attack, step.threat, step.settings)
            if Scenario.BLACK_BOX in plan.protocol.scenarios:
                black_box(cascade, plan.steps, plan.threats, plan.protocol.black_box)


def remove_parts(plan: Plan, parts: Sequence[Sequence[int]]) -> None:
    """Remove the journals of parts, once their cell has what was in them."""
    for part in parts:
        shutil.rmtree(unfinished(place_of(plan, part)), ignore_errors=True)

"""Many cells of one protocol, each after its dense parent, handed to whoever carries them out."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path

from bench.errors import SubmissionError
from bench.evaluation.conduct.run import evaluate
from bench.evaluation.executors.executor import Executor
from bench.evaluation.plan.plan import Plan, Request, plan
from bench.models.source import ModelRef
from bench.protocol.load import Protocol
from bench.pruning.recipe import RECIPES, Structure
from bench.submission.files import RESULT_FILE, read_result
from bench.threats import Scenario


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one cell.

    Attributes:
        folder: of its result; None if it failed.
        says: why it failed, or that it was there already.
    """

    name: str
    folder: Path | None
    says: str


def cells(
    protocol: Protocol,
    models: Iterable[ModelRef],
    recipes: Sequence[str],
    sparsities: Sequence[Fraction],
    *,
    regime: str,
    out: Path,
    limit: int | None,
) -> tuple[list[Plan], list[Plan]]:
    """Return the dense cells, and the pruned ones that need them, each settled into its folder under ``out``."""
    dense: list[Plan] = []
    pruned: list[Plan] = []
    for model in dict.fromkeys(models):
        for recipe in dict.fromkeys(["dense", *recipes]):
            structure = RECIPES[recipe].structure
            targets: Sequence[Fraction | None] = list(dict.fromkeys(sparsities))
            if structure in {Structure.DENSE, Structure.TWO_OF_FOUR}:
                targets = [None]
            for sparsity in targets:
                follows = "one-shot" if structure is Structure.DENSE else regime
                request = Request(model, protocol, recipe=recipe, sparsity=sparsity, regime=follows, limit=limit)
                settled = plan(replace(request, parent_first=False))  # parents are cells of their own
                settled = replace(settled, out=out / settled.name)
                (dense if structure is Structure.DENSE else pruned).append(settled)
    return dense, pruned


def sweep(dense: Sequence[Plan], pruned: Sequence[Plan], executor: Executor) -> Iterator[Outcome]:
    """Evaluate all cells and yield each as it ends; a cell that is there already is not measured again.

    Pruned cells wait for their dense parent, whose witnesses they are attacked with; where the protocol asks for that,
    none is measured without it. A cell that fails fails alone otherwise. Verdicts belong to points, so they depend
    neither on who carries out a cell nor on the order.
    """
    parents = {settled.request.model: settled.name for settled in dense}
    children: dict[str, list[Plan]] = {name: [] for name in parents.values()}
    for settled in pruned:
        children[parents[settled.request.model]].append(settled)
    for outcome in _outcomes(dense, executor):
        yield outcome
        for child in children.pop(outcome.name, ()):
            if outcome.folder is None and Scenario.TRANSFER in child.protocol.scenarios:
                yield Outcome(child.name, None, f"not measured, for its dense parent {outcome.name} failed")
            else:
                yield from _begin([child], executor)


def _outcomes(plans: Sequence[Plan], executor: Executor) -> Iterator[Outcome]:
    """Yield what is there already, then what ends, what was submitted in the meantime included."""
    yield from _begin(plans, executor)
    for ended in executor.ended():
        if ended.fault is None:
            folder, damage = ended.value
            yield Outcome(ended.name, folder, " ".join(["measured", *damage]))
        else:
            yield Outcome(ended.name, None, ended.fault)


def _begin(plans: Sequence[Plan], executor: Executor) -> Iterator[Outcome]:
    for settled in plans:
        if settled.out.exists():
            yield _found(settled)
        else:
            executor.submit(settled.name, partial(_carry_out, settled))


def _found(settled: Plan) -> Outcome:
    try:
        read_result(settled.out / RESULT_FILE)
    except SubmissionError as error:
        says = f"what is there is no result; remove {str(settled.out)!r} to measure it: {error}"
        return Outcome(settled.name, None, says)
    return Outcome(settled.name, settled.out, "there already")


def _carry_out(settled: Plan) -> tuple[Path, list[str]]:
    """Evaluate one cell; return its folder and what was damaged of its unfinished work."""
    damage: list[str] = []
    return evaluate(settled, tell=damage.append), damage

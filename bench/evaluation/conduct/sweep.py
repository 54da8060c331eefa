"""Many cells of one protocol, the dense parents first, spread over processes."""

import multiprocessing
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import torch

from bench.errors import BenchError
from bench.evaluation.conduct.run import evaluate
from bench.evaluation.plan.plan import Plan, Request, plan
from bench.models.source import ModelRef
from bench.protocol.load import Protocol
from bench.pruning.recipe import RECIPES, Structure


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
    for model in models:
        for recipe in dict.fromkeys(["dense", *recipes]):
            structure = RECIPES[recipe].structure
            targets: Sequence[Fraction | None] = sparsities
            if structure in {Structure.DENSE, Structure.TWO_OF_FOUR}:
                targets = [None]
            for sparsity in targets:
                follows = "one-shot" if structure is Structure.DENSE else regime
                request = Request(model, protocol, recipe=recipe, sparsity=sparsity, regime=follows, limit=limit)
                settled = plan(replace(request, parent_first=False))  # parents are cells of their own
                settled = replace(settled, out=out / settled.name)
                (dense if structure is Structure.DENSE else pruned).append(settled)
    return dense, pruned


def sweep(dense: Sequence[Plan], pruned: Sequence[Plan], workers: int) -> Iterator[Outcome]:
    """Evaluate all cells and yield each as it ends; a cell that is there already is not measured again.

    Verdicts belong to points, so they do not depend on the number of workers or on the order.
    """
    share = max(1, torch.get_num_threads() // workers)
    with ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=torch.set_num_threads, initargs=(share,)
    ) as pool:
        for stage in (dense, pruned):
            waiting = {pool.submit(_carry_out, settled): settled for settled in stage if not settled.out.exists()}
            for settled in stage:
                if settled not in waiting.values():
                    yield Outcome(settled.name, settled.out, "there already")
            for done in as_completed(waiting):
                yield done.result()


def _carry_out(settled: Plan) -> Outcome:
    try:
        return Outcome(settled.name, evaluate(settled), "measured")
    except BenchError as error:
        return Outcome(settled.name, None, str(error))

"""From models, recipes, sparsities and regimes to the cells of a sweep, each with the dense parent it waits for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.evaluation.conduct.parents import parent_plan
from bench.evaluation.plan.ask import File, Said, ask
from bench.evaluation.plan.manifest import manifest_beside
from bench.evaluation.plan.plan import Plan
from bench.evaluation.plan.reference import measured
from bench.models.source import SOURCES, ModelRef, names_file
from bench.protocol.load import Protocol
from bench.pruning.recipe import RECIPES, Structure

_NOTHING, _SILENT = File(), Said()


@dataclass(frozen=True, slots=True)
class Block:
    """One rectangle of a grid: every model by every recipe at every sparsity under every regime.

    Attributes:
        models: references as they are typed; none means all that ship with the benchmark.
        recipes, sparsities: none means the protocol's.
        regimes: none means one-shot, or nothing told of a network that came pruned.
        file: what goes with models that are files.
        said: what is told of all models alike; a network that came pruned is one cell, as it came.
    """

    models: tuple[str, ...] = ()
    recipes: tuple[str, ...] = ()
    sparsities: tuple[Fraction, ...] = ()
    regimes: tuple[str, ...] = ()
    file: File = _NOTHING
    said: Said = _SILENT


@dataclass(frozen=True, slots=True)
class Planned:
    """A cell of a sweep.

    Attributes:
        plan: settled into its folder; parents are cells of their own, so it makes none.
        parent: name of the dense cell that it waits for; None where it needs none of this sweep.
    """

    plan: Plan
    parent: str | None

    @property
    def name(self) -> str:
        """The entry's name."""
        return self.plan.name


def grid(blocks: Iterable[Block], rules: Protocol, *, preset: str, out: Path, **plain: Any) -> list[Planned]:
    """Return the cells of all blocks, dense ones first, each once; among the children of one parent the densest first.

    Dense networks have most points that stand, and so take longest: what is long begins early.

    Args:
        blocks: of the grid.
        rules: the protocol.
        preset: whose budgets.
        out: where the entries' folders go.
        **plain: further attributes of every Request.

    Raises:
        UsageError: if a name is unknown or what is said does not fit together.
        InputError: if a file is missing.
    """
    dense: dict[str, Planned] = {}
    pruned: dict[str, Planned] = {}
    for block in blocks:
        for plan in _plans(block, rules, preset, plain):
            settled = _placed(plan, out)
            if settled.request.dense:
                dense.setdefault(settled.name, Planned(settled, None))
                continue
            parent = _parent(settled, out)
            if parent is not None:
                dense.setdefault(parent.name, Planned(parent, None))
            pruned.setdefault(settled.name, Planned(settled, parent.name if parent else None))
    children = sorted(pruned.values(), key=lambda cell: _share(cell.plan))
    return [*dense.values(), *children]


def _plans(block: Block, rules: Protocol, preset: str, plain: dict[str, Any]) -> Iterator[Plan]:
    for model in dict.fromkeys(block.models or (f"embedded:{name}" for name in SOURCES["embedded"].names())):
        for said in _said(model, block, rules):
            yield ask(model, rules, preset=preset, file=block.file, said=said, **plain)


def _said(model: str, block: Block, rules: Protocol) -> Iterator[Said]:
    """Yield what is said of each cell of one model."""
    if not block.recipes and _came_pruned(model, block, rules):
        if len(block.sparsities) > 1 or len(block.regimes) > 1:
            raise UsageError(
                f"{model} came pruned, so it is one cell: tell one sparsity and one regime of it, or name --recipes "
                "that prune it here."
            )
        yield replace(block.said, sparsity=next(iter(block.sparsities), None), regime=next(iter(block.regimes), None))
        return
    for recipe in dict.fromkeys(["dense", *(block.recipes or rules.grid.recipes)]):
        structure = RECIPES[recipe].structure
        sparsities: Iterable[Fraction | None] = dict.fromkeys(block.sparsities or rules.grid.sparsities)
        if structure in {Structure.DENSE, Structure.TWO_OF_FOUR}:
            sparsities = [None]
        regimes = ["one-shot"] if structure is Structure.DENSE else dict.fromkeys(block.regimes or ["one-shot"])
        keep = () if structure is Structure.DENSE else block.said.keep
        for sparsity in sparsities:
            for regime in regimes:
                yield replace(block.said, recipe=recipe, sparsity=sparsity, regime=regime, keep=keep)


def _came_pruned(model: str, block: Block, rules: Protocol) -> bool:
    if block.said.of_others or block.said.parent is not None:
        return True
    if names_file(model):
        return manifest_beside(Path(model)) is not None
    found = measured(model, rules.name)
    return found is not None and not found.dense


def _placed(plan: Plan, out: Path) -> Plan:
    alone = replace(plan, request=replace(plan.request, parent_first=False))
    return replace(alone, out=out / plan.name)


def _parent(plan: Plan, out: Path) -> Plan | None:
    """Return the plan of the dense cell that a pruned one waits for."""
    request = plan.request
    parent: ModelRef | None = request.origin.parent if request.origin else request.model
    if parent is None or request.parent_run is not None:
        return None
    whole = replace(plan, request=replace(request, keep=()))
    return _placed(parent_plan(whole, parent), out)


def _share(plan: Plan) -> Fraction:
    origin = plan.request.origin
    share = origin.sparsity if origin else plan.request.sparsity
    return Fraction(1, 2) if share is None else share

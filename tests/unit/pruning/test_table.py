"""The page about the recipes lists what is registered, and nothing else."""

from pathlib import Path

from bench.pruning.recipe import RECIPES
from bench.pruning.regime import REGIMES
from bench.submission.schema import CostRecord, PruningRecord

PAGE = Path(__file__).parents[3] / "bench" / "site" / "docs" / "recipes.md"


def lines(section: str) -> list[list[str]]:
    """Return the cells of the table under a heading."""
    text = PAGE.read_text("utf-8").partition(f"## {section}\n")[2].partition("\n## ")[0]
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[1:]]


def test_every_recipe_stands_in_the_table_as_it_is():
    entries = [RECIPES[name] for name in RECIPES]
    assert lines("The recipes") == [
        [
            f"`{entry.name}`",
            entry.structure,
            entry.scope,
            entry.needs,
            "moved" if entry.rewrites else "kept",
            entry.source,
        ]
        for entry in entries
    ]


def test_every_regime_stands_in_the_table_as_it_is():
    entries = [REGIMES[name] for name in REGIMES]
    assert lines("What follows pruning") == [[f"`{entry.name}`", entry.needs, entry.source] for entry in entries]


def test_every_field_that_is_explained_exists():
    fields = {*PruningRecord.model_fields, *(f"cost.{name}" for name in CostRecord.model_fields)}
    named = {word.strip("`") for _, where, _ in lines("What is measured") for word in where.replace("/", " ").split()
             if word.startswith("`")}  # fmt: skip
    named = {word.strip("`,()") for word in named}
    assert named <= fields
    assert {"zeros", "connected", "nonzero_macs", "bytes_packed", "cost.latency"} <= named

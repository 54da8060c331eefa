"""A sweep in shards, for schedulers that start the same command many times and let nobody talk."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.errors import DisagreementError, InputError
from bench.evaluation.conduct.grid import Planned
from bench.evaluation.record.ledger import PLAN_FILE, CellRecord, Ledger, read_plan
from bench.submission.files import POINTS_FILE, RESULT_FILE, WITNESSES_FILE, read_result

_OF_A_RUN = ("cost", "environment")
"""What two runs of one cell may differ in."""


def place(out: Path, shard: tuple[int, int]) -> Path:
    """Return the folder of a shard: its number, from 1, and how many there are."""
    return out / f"shard-{shard[0]:03}-of-{shard[1]:03}"


def deal(cells: Sequence[Planned], shard: tuple[int, int], out: Path) -> list[Planned]:
    """Return the cells of one shard, settled into its folder.

    The children are dealt in blocks of the same parent, so that few shards need the same one; a parent is measured in
    every shard that needs it, unless its run lies in ``out`` already.

    Args:
        cells: of the whole sweep, dense ones first.
        shard: its number, from 1, and how many there are.
        out: folder of the whole sweep.
    """
    number, many = shard
    dense = {cell.name: cell for cell in cells if cell.plan.request.dense}
    families = list(dense)
    children = sorted(
        (cell for cell in cells if not cell.plan.request.dense),
        key=lambda cell: families.index(cell.parent) if cell.parent in dense else -1,
    )
    used = {cell.parent for cell in children}
    items = [*(dense[name] for name in families if name not in used), *children]
    mine = items[len(items) * (number - 1) // many : len(items) * number // many]
    needed = dict.fromkeys(cell.parent for cell in mine if cell.parent in dense)
    made = {name for name in needed if name and (out / name / RESULT_FILE).is_file()}
    home = place(out, shard)
    parents = [dense[name] for name in needed if name and name not in made]
    return [_moved(cell, home, out if cell.parent in made else None) for cell in [*parents, *mine]]


def _moved(cell: Planned, home: Path, parents: Path | None) -> Planned:
    plan = replace(cell.plan, out=home / cell.name)
    if parents is None or cell.parent is None:
        return replace(cell, plan=plan)
    request = replace(plan.request, parent_run=parents / cell.parent)
    return Planned(replace(plan, request=request), None)


def merge(out: Path, shards: Sequence[Path]) -> list[str]:
    """Bring the finished cells of shards together in one folder; return the names of those that are still missing.

    A cell that several shards have measured has to be the same in all of them, but for its cost.

    Raises:
        InputError: if a folder is none of a shard, or shards belong to different sweeps.
        DisagreementError: if two shards have measured one cell differently.
    """
    if not shards:
        raise InputError(f"{str(out)!r} holds no shard; name their folders, or run them first with --shard.")
    records = [(shard, read_plan(shard)) for shard in shards]
    rules = {(record.protocol, record.preset) for _, record in records}
    if len(rules) > 1:
        raise InputError(
            f"shards were measured under different rules: {', '.join(' '.join(one) for one in sorted(rules))}."
        )
    cells: dict[str, CellRecord] = {}
    for shard, record in records:
        for cell in record.cells:
            cells.setdefault(cell.name, cell)
            if (shard / cell.name / RESULT_FILE).is_file():
                _bring(shard / cell.name, out / cell.name)
    numbers = {record.shard[0] for _, record in records if record.shard}
    missing = [name for name in cells if not (out / name / RESULT_FILE).is_file()]
    many = next((record.shard[1] for _, record in records if record.shard), len(records))
    missing += [f"all of shard {number} of {many}" for number in range(1, many + 1) if number not in numbers]
    whole = records[0][1].model_copy(update={"shard": None, "cells": tuple(cells.values())})
    ledger = Ledger(out)
    ledger.begin(whole)
    for name in cells:
        if name not in missing:
            ledger.note(name, "there")
    return missing


def _bring(source: Path, target: Path) -> None:
    if target.exists():
        if _told(source) != _told(target):
            raise DisagreementError(
                f"{str(source)!r} and {str(target)!r} are runs of one cell and tell different things."
            )
        return
    building = target.with_name(f".{target.name}.building")
    try:
        shutil.rmtree(building, ignore_errors=True)
        shutil.copytree(source, building)
        building.rename(target)
    except OSError as error:
        raise InputError(f"cannot copy {str(source)!r} to {str(target)!r} ({error.strerror or error}).") from None


def _told(folder: Path) -> tuple[Any, bytes, bytes]:
    """Return all that a finished run says but for what it cost and where."""
    result = read_result(folder / RESULT_FILE).model_dump(mode="json", by_alias=True)
    for name in _OF_A_RUN:
        result.pop(name)
    for threat in result["threats"]:
        for attack in threat["attacks"]:
            del attack["forwards"], attack["backwards"]
    arrays = [(folder / name).read_bytes() for name in (POINTS_FILE, WITNESSES_FILE)]
    return json.dumps(result, sort_keys=True), arrays[0], arrays[1]


def shards_in(out: Path) -> list[Path]:
    """Return the folders of shards that lie in a folder."""
    return sorted(path.parent for path in out.glob(f"shard-*-of-*/{PLAN_FILE}"))

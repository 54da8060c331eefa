"""What a finished run gains by being asked for more: norms, points, budgets, a parent; nothing is attacked twice."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.evaluation.plan.descent import claim_of
from bench.evaluation.plan.plan import Plan, Request
from bench.evaluation.plan.plan import plan as settle
from bench.evaluation.search.journal import another
from bench.lock import unfinished
from bench.models.source import SOURCES, load
from bench.protocol.load import STANDARD
from bench.submission.files import POINTS_FILE, RESULT_FILE, read_result
from bench.submission.points import read_points
from bench.submission.schema import Result
from bench.threats import Norm, Scenario

KEPT = "journal"
"""Folder within a finished run that holds its journal; without it the run is whole, but nothing can be added to it."""


def earlier_work(out: Path) -> list[Path]:
    """Return the journals of runs that lie beside an output folder, and its own if it is finished."""
    beside = sorted([*out.parent.glob(f"*/{KEPT}"), *out.parent.glob("*.partial")])
    return [folder for folder in beside if folder != unfinished(out)]


def adding_to(plan: Plan) -> Plan:
    """Return the plan together with what its folder holds already; the plan itself where nothing is there.

    Raises:
        UsageError: if the folder holds something else, or all of it already.
    """
    joined, more = _together(plan)
    if not more:
        raise UsageError(f"{str(plan.out)!r} exists already and holds all of this; remove it or choose another --out.")
    return joined


def finished(plan: Plan) -> bool:
    """Tell whether the folder of a plan holds all that it asks for.

    Raises:
        UsageError: if the folder holds something else.
    """
    return not _together(plan)[1]


def hold_same(plan: Plan, header: Mapping[str, Any]) -> None:
    """Refuse to add to a finished run that another network, code or machine made, or whose journal is gone.

    Raises:
        UsageError: saying what differs.
    """
    if not plan.out.exists():
        return
    names = another(plan.out / KEPT, header)
    if names is None:  # killed before the journal was moved there
        names = another(unfinished(plan.out), header)
    if names is None:
        raise UsageError(
            f"{str(plan.out)!r} exists already, and without its journal nothing can be added to it; remove it or "
            "choose another --out."
        )
    if names:
        raise UsageError(
            f"{str(plan.out)!r} exists already and holds a run with another {', '.join(names)}; remove it or choose "
            "another --out."
        )


def _together(plan: Plan) -> tuple[Plan, bool]:
    """Return the plan with what its folder holds, and whether that is more than is there."""
    if not plan.out.exists():
        return plan, True
    if not (plan.out / RESULT_FILE).is_file() or not plan.request.resume:
        raise UsageError(f"{str(plan.out)!r} exists already; remove it or choose another --out.")
    result = read_result(plan.out / RESULT_FILE)
    if other := _other(result, plan):
        raise UsageError(
            f"{str(plan.out)!r} exists already and holds a run with another {other}; remove it or choose another --out."
        )
    ids = tuple(read_points(plan.out / POINTS_FILE).id.tolist())
    joined = replace(settle(_joined(plan, result, ids)), out=plan.out)
    if not _holds(result, ids, joined):
        return joined, True
    if other := _changed(result, plan.request):
        raise UsageError(
            f"{str(plan.out)!r} exists already and holds a run of another {other} of this name; remove it or choose "
            "another --out."
        )
    return joined, False


def _changed(result: Result, request: Request) -> str:
    """Return which network of a finished run is no longer what its reference names; empty where both are.

    What more is asked for goes through another door: the journal knows whose proposals it holds.
    """
    model, origin = result.model, request.origin
    found = {"model": (request.model, model.weights_sha256 if request.recipe == "dense" else model.parent_sha256)}
    if origin is not None and origin.parent is not None:
        found["parent"] = (origin.parent, model.parent_sha256)
    changes = {name: ref.source == "checkpoint" or SOURCES[ref.source].private for name, (ref, _) in found.items()}
    return " and ".join(name for name, (ref, digest) in found.items() if changes[name] and load(ref).digest != digest)


def _other(result: Result, plan: Plan) -> str:
    """Return what a finished run was made by that this one is not; empty where they go together."""
    request, stamp, pruning = plan.request, result.protocol, result.pruning
    ours = pruning.recipe is not None or request.recipe != "dense"
    pruned = (request.recipe, request.regime, _text(request.sparsity), request.keep)
    found = {
        "protocol": stamp.digest != plan.protocol.digest,
        "preset, and none replaces the protocol's own budgets": (
            stamp.preset != plan.protocol.preset and stamp.preset == STANDARD
        ),
        "model": result.model.ref != str(request.model),
        "recipe": request.origin is None
        and ours
        and pruned != (pruning.recipe, pruning.regime, pruning.target, pruning.keep),
        "method, of which nothing is said here": request.dense and pruning.method is not None,
        "seed": result.seed != plan.seed,
        "engine": result.engine != request.engine,
    }
    return ", ".join(name for name, differs in found.items() if differs)


def _text(share: object) -> str | None:
    return None if share is None else str(share)


def _joined(plan: Plan, result: Result, ids: tuple[int, ...]) -> Request:
    data, norms = plan.protocol.data, {threat.norm for threat in plan.threats}
    norms |= {threat.norm for threat in result.threats}
    every = tuple(threat.norm for threat in plan.protocol.threats)
    chosen = tuple(norm for norm in every if norm in norms)
    points = sorted({*ids, *plan.ids})
    first, last = points[0], points[-1] + 1
    if last - first != len(points):
        raise UsageError(
            f"{str(plan.out)!r} holds the points {ids[0]}:{ids[-1] + 1}, and {plan.ids[0]}:{plan.ids[-1] + 1} do not "
            "join them; add points that follow or overlap, or choose another --out."
        )
    whole = (first, last) == (data.first, data.first + data.points)
    return replace(
        plan.request,
        norms=None if chosen == every else chosen,
        points=None if whole else (first, last),
        limit=None,
    )


def _transferred(result: Result) -> set[Norm]:
    scenario = result.scenarios.get(Scenario.TRANSFER)
    return set(scenario.robust) if scenario else set()


def _holds(result: Result, ids: tuple[int, ...], joined: Plan) -> bool:
    """Tell whether a finished run is all that is asked for."""
    origin, model, pruning = joined.request.origin, result.model, result.pruning
    wants = not joined.request.dense and joined.request.parent_first and Scenario.TRANSFER in joined.protocol.scenarios
    told = origin is None or (
        (model.parent, pruning.method, pruning.claim, pruning.regime)
        == (_text(origin.parent), origin.method, claim_of(origin), origin.regime)
    )
    return (
        ids == joined.ids
        and [threat.norm for threat in result.threats] == [threat.norm for threat in joined.threats]
        and result.protocol.preset == joined.protocol.preset
        and told
        and (not wants or _transferred(result) >= {threat.norm for threat in joined.threats})
    )

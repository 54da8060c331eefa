"""Turns what was measured into the records of a submission; knows no attack and no model."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from bench.data.dataset import EvalSet
from bench.evaluation.judge.pool import Pool
from bench.evaluation.plan.descent import claim_of
from bench.evaluation.plan.plan import Plan
from bench.evaluation.plan.prepare import Cell
from bench.evaluation.search.cascade import Tally
from bench.pruning.recipe import RECIPES, Scope
from bench.submission.arrays import Arrays, Parts, rows_at_once
from bench.submission.schema import (
    AttackRecord,
    CurveRecord,
    DataRecord,
    LayerRecord,
    PruningRecord,
    ThreatRecord,
)
from bench.tensors import Images, Labels
from bench.threats import Norm, ThreatModel


def pruning_record(cell: Cell) -> PruningRecord:
    """Return what was pruned, as measured."""
    request, measured = cell.plan.request, cell.pruned.measured
    recipe, origin = RECIPES[request.recipe], request.origin
    return PruningRecord(
        recipe=None if origin else request.recipe,
        method=origin.method if origin else None,
        version=0 if origin else recipe.version,
        structure=cell.structure.value,
        scope=Scope.NONE.value if origin else recipe.scope.value,
        regime=origin.regime if origin else request.regime,
        target=None if request.sparsity is None else str(request.sparsity),
        keep=request.keep,
        claim=claim_of(origin) if origin else None,
        prunable=measured.prunable,
        zeros=measured.zeros,
        connected=measured.connected,
        nonzero=measured.nonzero,
        parameters=measured.parameters,
        macs=measured.macs,
        nonzero_macs=measured.nonzero_macs,
        parent_macs=measured.parent_macs,
        bytes_plain=measured.bytes_plain,
        bytes_packed=measured.bytes_packed,
        collapsed_layers=tuple(measured.collapsed_layers),
        layers=tuple(
            LayerRecord(
                name=layer.name, shape=tuple(layer.shape), weights=layer.weights, zeros=layer.zeros, macs=layer.macs
            )
            for layer in measured.layers
        ),
    )


def data_record(points: EvalSet) -> DataRecord:
    """Return which points were evaluated."""
    return DataRecord(
        name=points.name, split=points.split, points=len(points), digest=points.digest, classes=points.classes
    )


def threat_record(threat: ThreatModel, pool: Pool, tallies: Sequence[Tally]) -> ThreatRecord:
    """Return the account of one threat model: correct = robust + the sum over broken, and what is known beyond it."""
    ledger = pool.broken[threat.norm]
    attacks = [
        AttackRecord(
            name=tally.attack,
            attempted=tally.attempted,
            broken=int(ledger[tally.attack].sum()) if tally.attack in ledger else 0,
            rejected=tally.rejected,
            forwards=tally.forwards,
            backwards=tally.backwards,
        )
        for tally in tallies
    ]
    radius = float(threat.epsilon)
    return ThreatRecord(
        norm=threat.norm,
        epsilon=str(threat.epsilon),
        robust=int(pool.withstanding(threat.norm, radius).sum()),
        best_known=int(pool.standing(threat.norm, radius).sum()),
        attacks=tuple(attacks),
    )


def curve_records(plan: Plan, pool: Pool) -> dict[Norm, CurveRecord]:
    """Return the robustness curves of the norms that were attacked, over the protocol's grids."""
    attacked = {threat.norm for threat in plan.threats}
    return {
        curve.norm: CurveRecord(
            epsilon=tuple(str(radius) for radius in curve.epsilons),
            robust=tuple(pool.counts(curve.norm, [float(radius) for radius in curve.epsilons])),
        )
        for curve in plan.protocol.curves
        if curve.norm in attacked
    }


def point_arrays(points: EvalSet, predictions: Labels, pool: Pool) -> dict[str, NDArray[np.generic]]:
    """Return the per-point arrays of points.npz."""
    arrays: dict[str, NDArray[np.generic]] = {
        "id": points.ids,
        "label": points.labels,
        "prediction": predictions.cpu().numpy(),
    }
    for norm in Norm:
        arrays[f"distance_{norm}"] = pool.distance[norm].cpu().numpy()
    for norm, ledger in pool.broken.items():
        for attack, broken in ledger.items():
            arrays[f"broken_{norm}_{attack}"] = broken.cpu().numpy()
    return arrays


def witness_arrays(points: EvalSet, pool: Pool) -> Arrays:
    """Return the nearest witness of every broken point, per norm, with the clean image beside it."""
    arrays: dict[str, NDArray[Any] | Parts] = {}
    for norm in Norm:
        rows = pool.witnessed(norm).nonzero().flatten()
        arrays[f"id_{norm}"] = points.ids[rows.cpu().numpy()]
        arrays[f"image_{norm}"] = _in_parts(pool, rows, partial(pool.witnesses, norm))
        arrays[f"clean_{norm}"] = _in_parts(pool, rows, pool.originals.__getitem__)
    return arrays


def _in_parts(pool: Pool, rows: Tensor, images: Callable[[Tensor], Images]) -> Parts:
    shape = (len(rows), *pool.originals.shape[1:])
    many = rows_at_once(shape, np.dtype(np.float32).itemsize)
    return Parts(
        np.dtype(np.float32), shape, lambda: (images(part).cpu().contiguous().numpy() for part in rows.split(many))
    )

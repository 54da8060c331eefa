"""Holds what an entry says of its network and its points against both, computed again; no attack is needed."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from bench.errors import ContractError, DisagreementError
from bench.evaluation.checks.check import Stage
from bench.evaluation.checks.runner import FORESEEN, admit, chosen, foresee
from bench.evaluation.conduct.evidence import before_attacks
from bench.evaluation.plan.prepare import Cell
from bench.evaluation.record.record import data_record, pruning_record
from bench.evaluation.review.table import Table, named
from bench.evaluation.search.cascade import Target
from bench.submission.check import Folder
from bench.submission.schema import Flag, LayerRecord, Level

TIE = 1e-4
"""Of the largest logit: closer ones may change places between two machines."""
_PACKED = 0.02
"""Share by which two versions of the compressor may differ."""
_NETWORK = ("architecture", "parent", "parent_sha256", "parameters")
_SIZES = (
    "structure", "target", "prunable", "zeros", "connected", "nonzero", "parameters", "macs", "nonzero_macs",
    "parent_macs", "bytes_plain", "collapsed_layers",
)  # fmt: skip


def compare_network(table: Table, entry: Folder, cell: Cell) -> None:
    """Compare weights, descent, measured sparsity layer by layer, structure, size and multiply-accumulates."""
    model, pruning = entry.result.model, entry.result.pruning
    table.hold("weights", model.weights_sha256, cell.digest)
    if model.file_sha256 is not None:
        table.hold("file of weights", model.file_sha256, cell.loaded.file_digest)
    parent = cell.parent
    found = {
        "architecture": cell.loaded.architecture,
        "parent": str(parent.ref) if parent else None,
        "parent_sha256": parent.digest if parent else None,
        "parameters": cell.pruned.measured.parameters,
    }
    for name in _NETWORK:
        table.hold(_words(name), getattr(model, name), found[name])
    measured = pruning_record(cell)
    for name in _SIZES:
        table.hold(
            f"{_words(name)}{' reached' if name == 'parameters' else ''}",
            getattr(pruning, name),
            getattr(measured, name),
        )
    near = abs(pruning.bytes_packed - measured.bytes_packed) <= _PACKED * measured.bytes_packed
    table.hold("bytes packed", pruning.bytes_packed, measured.bytes_packed, agrees=near)
    wrong = [one.name for one, other in _pairs(pruning.layers, measured.layers) if one != other]
    agrees = not wrong and len(pruning.layers) == len(measured.layers)
    table.hold("layers", len(pruning.layers), _less(len(measured.layers), wrong), agrees=agrees)


def _pairs(
    first: tuple[LayerRecord, ...], second: tuple[LayerRecord, ...]
) -> Iterable[tuple[LayerRecord, LayerRecord]]:
    return zip(first, second, strict=False)


def _less(count: int, wrong: list[str]) -> str:
    return f"{count}, of which {len(wrong)} differ, {wrong[0]} first" if wrong else f"{count}"


def compare_points(table: Table, entry: Folder, cell: Cell, target: Target) -> None:
    """Compare points, labels and clean predictions on every point.

    Raises:
        DisagreementError: if the entry speaks of other points, so that nothing else can be compared.
    """
    points, there = entry.points, cell.points
    if not np.array_equal(points.id, there.ids) or not np.array_equal(points.label, there.labels):
        raise DisagreementError(
            f"the ids and labels of {entry.submission.id!r} are not those of {there.name} {there.split}; nothing else "
            "can be compared."
        )
    table.hold("points, ids and labels", len(points), len(there))
    data, again = entry.result.data, data_record(there)
    table.hold("points, digest", data.digest, again.digest)
    table.hold("classes", len(data.classes), len(again.classes), agrees=data.classes == again.classes)
    logits = target.logits
    claimed = torch.from_numpy(points.prediction).to(logits.device)
    other = (logits.argmax(dim=1) != claimed) & ~tied(logits, claimed)
    says = (
        f"{int(other.sum())} others: {named(points.id[other.cpu().numpy()].tolist())}"
        if bool(other.any())
        else "the same"
    )
    table.hold("clean predictions", f"{len(points)} points", says, agrees=not bool(other.any()))


def tied(logits: Tensor, claimed: Tensor) -> Tensor:
    """Tell where the class claimed is as good as the one found: the first but for rounding."""
    best, size = logits.amax(dim=1), logits.abs().amax(dim=1).clamp(min=1.0)
    return best - logits.gather(1, claimed.unsqueeze(1)).squeeze(1) <= TIE * size


def compare_doubts(table: Table, entry: Folder, cell: Cell, target: Target) -> None:
    """Run the checks that need no attack, and hold what they doubt against the flags of the entry."""
    evidence, protocol = before_attacks(cell, target, None), cell.plan.protocol
    try:
        found = [*admit(protocol, evidence), *foresee(protocol, evidence)]
    except ContractError as error:
        table.hold("admission", "admitted", str(error), agrees=False)
        return
    ran = [check.name for check, _ in chosen(protocol, [Stage.ADMISSION])] + [*FORESEEN]
    compare_flags(table, entry.result.flags, found, ran)


def compare_flags(table: Table, recorded: Iterable[Flag], found: Iterable[Flag], ran: Iterable[str]) -> None:
    """Hold the flags of some checks against those recorded; a doubt that an entry leaves out is a disagreement."""
    order, recorded, found, ran = list(Level), list(recorded), list(found), sorted(set(ran))

    def worst(flags: list[Flag], check: str) -> int:
        return max((order.index(flag.level) for flag in flags if flag.check == check), default=-1)

    hidden = [check for check in ran if worst(found, check) > max(worst(recorded, check), order.index(Level.INFORM))]
    told = sorted({flag.check for flag in recorded if flag.check in ran})
    says = f"more doubt in {', '.join(hidden)}" if hidden else f"no more doubt in {len(ran)} checks"
    table.hold("flags", ", ".join(told) or "none", says, agrees=not hidden)


def _words(name: str) -> str:
    return name.replace("_", " ").replace("sha256", "weights").replace("macs", "MACs")

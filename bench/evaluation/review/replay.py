"""Replays the stored witnesses of an entry, and attacks a few of its robust points in a way that nobody foresees."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.errors import ContractError
from bench.evaluation.judge.pool import Pool
from bench.evaluation.judge.verify import verify
from bench.evaluation.plan.prepare import Cell
from bench.evaluation.review.compared import tied
from bench.evaluation.review.table import Table, named
from bench.evaluation.search.cascade import Cascade, Target
from bench.submission.check import Folder
from bench.submission.sample import drawn_ids
from bench.submission.standing import best_known
from bench.tensors import Logits, portion
from bench.threats import Norm

SAMPLE = 32
"""Robust points that the smoke attack looks at under each threat model."""
_BATCH = 250


def replay(table: Table, witnesses: Mapping[str, NDArray[Any]], target: Target) -> None:
    """Hold every stored clean image against the data set, and every witness against the network."""
    rows = {int(point): row for row, point in enumerate(target.ids.tolist())}
    for norm in Norm:
        ids = witnesses[f"id_{norm}"]
        if not len(ids):
            table.hold(f"{norm} witnesses", 0, 0)
            continue
        where = torch.tensor([rows[int(point)] for point in ids], device=target.images.device)
        clean, images = (torch.from_numpy(witnesses[f"{part}_{norm}"]) for part in ("clean", "image"))
        foreign = _foreign(clean.to(target.images.device), target.images[where])
        table.hold(
            f"{norm} clean images", len(ids), _found(foreign, ids, "not the data set's"), agrees=not bool(foreign.any())
        )
        if images.shape[1:] != target.images.shape[1:]:
            continue  # neither are the clean ones, which has been said
        failing = ~_fooled(target, images.to(target.images.device), where)
        table.hold(f"{norm} witnesses", len(ids), _found(failing, ids, "fool nobody"), agrees=not bool(failing.any()))


def _foreign(stored: Tensor, real: Tensor) -> Tensor:
    if stored.shape != real.shape:
        return torch.ones(len(stored), dtype=torch.bool)
    return (stored != real).flatten(1).any(dim=1)


@torch.no_grad()
def _fooled(target: Target, images: Tensor, where: Tensor) -> Tensor:
    """Tell which images the network misreads; one that lies on the border of two classes may fall to either side."""
    logits: Logits = torch.cat([target.classifier(part) for part in images.split(portion(images, _BATCH))])
    if not logits.isfinite().all():
        raise ContractError("the model returned NaN or infinite logits for a witness; it gives no number.")
    labels = target.labels[where]
    away = logits.scatter(1, labels.unsqueeze(1), -torch.inf)
    return (logits.argmax(dim=1) != labels) | tied(logits, away.argmax(dim=1))


def _found(wrong: Tensor, ids: NDArray[Any], says: str) -> str:
    count = int(wrong.sum())
    return f"{count} {says}: {named(ids[wrong.cpu().numpy()].tolist())}" if count else "all as stored"


def smoke(table: Table, entry: Folder, cell: Cell, target: Target, batch: int, seed: int) -> dict[Norm, list[int]]:
    """Attack a sample of the points that stand with the first attack of each cascade; return the ids that fell.

    The seed chooses the points and draws every random number; nobody who made the entry knew it.
    """
    plan, fallen = cell.plan, dict[Norm, list[int]]()
    standing = best_known(entry.result, entry.points)
    for threat in plan.threats:
        step = next(step for step in plan.steps if step.threat == threat)
        stands = torch.from_numpy(standing[threat.norm].points).to(target.labels.device)
        stands &= target.logits.argmax(dim=1) == target.labels
        rows = chosen(stands.nonzero().flatten(), target.ids, seed)
        if not len(rows):
            table.skip(f"{threat.norm} smoke attack", "no point stands")
            continue
        part = Target(
            target.classifier, target.images[rows], target.labels[rows], target.ids[rows], target.logits[rows]
        )
        pool = Pool(part.images, torch.ones(len(rows), dtype=torch.bool, device=rows.device), [threat])
        Cascade(part, pool, seed, batch).run(step.attack, step.threat, step.settings)
        fell = part.ids[~pool.standing(threat.norm, float(threat.epsilon))].tolist()
        fallen[threat.norm] = sorted(int(point) for point in fell)
        says = f"{len(fell)} fell to {step.attack.name}: {named(fell)}" if fell else f"all stand {step.attack.name}"
        table.hold(f"{threat.norm} smoke attack", f"{len(rows)} points stand", says, agrees=not fell, lowers=True)
    return fallen


def chosen(rows: Tensor, ids: Tensor, seed: int) -> Tensor:
    """Return at most so many of the rows, by the digests of seed and id, in order."""
    held = set(drawn_ids(ids[rows].tolist(), seed, SAMPLE))
    return torch.tensor([row for row in rows.tolist() if int(ids[row]) in held], dtype=torch.long, device=rows.device)


def confirmed(target: Target, images: Tensor, rows: Tensor, cell: Cell) -> dict[Norm, NDArray[np.bool_]]:
    """Tell, per norm that was attacked, which images fool the network within the radius at a point it gets right.

    Raises:
        ContractError: if an image is none.
    """
    found = dict[Norm, NDArray[np.bool_]]()
    right = target.logits[rows].argmax(dim=1) == target.labels[rows]
    for threat in cell.plan.threats:
        verdict = verify(target.classifier, target.images[rows], images, target.labels[rows], threat)
        found[threat.norm] = (verdict.fooled & verdict.inside & right).cpu().numpy()
    return found

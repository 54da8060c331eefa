"""Valid submissions in one call, and whole synthetic boards, for tests of the publishing half."""

import hashlib
import json
import zlib
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np

from bench.protocol.load import Protocol, Threat, load
from bench.submission.agreement import measure
from bench.submission.arrays import pack_arrays
from bench.submission.files import canonical
from bench.submission.points import PointTable
from bench.submission.sample import sampled
from bench.submission.schema import Flag, Level
from bench.threats import Norm, surface
from tests.support.signers import verify

RECIPES = ("magnitude-global", "magnitude-uniform", "random-erk")
_LOSS = {"dense": 0.0, "magnitude-global": 0.25, "magnitude-uniform": 0.45, "random-erk": 0.9}
_LAYERS = (("conv1", (16, 1, 3, 3), 64), ("conv2", (32, 16, 3, 3), 16), ("head", (10, 512), 1))


@dataclass(frozen=True)
class Cell:
    """What a synthetic submission is about.

    Attributes:
        strength: scales every distance; 1 is a middling network.
        lottery: seeds what differs between two cells of equal strength; by default their ids do.
        theirs: how others pruned it, in place of the recipe.
        claim: what they say of it.
        regime: what followed the pruning.
        norms: of the threat models that the entry brings.
        weights: the entry whose network it is; by default its own.
        pixels: digest of the points under rules that pin files.
    """

    id: str = "small-dense"
    name: str = "Small network"
    parent: str = "small"
    recipe: str = "dense"
    sparsity: Fraction | None = None
    strength: float = 1.0
    accuracy: float = 0.96
    lottery: int | None = None
    level: str | None = "re-run"
    protocol: str = "digits-v1"
    flags: tuple[Flag, ...] = ()
    collapsed: bool = False
    witnesses: bool = True
    method: str = ""
    paper: str | None = None
    day: date = date(2026, 3, 1)
    supersedes: str | None = None
    theirs: str | None = None
    claim: dict[str, str | None] | None = None
    regime: str = "one-shot"
    norms: tuple[Norm, ...] = tuple(Norm)
    weights: str | None = None
    pixels: str = 64 * "5"


def write(root: Path, cell: Cell | None = None, **changes: object) -> Path:
    """Write a submission without a problem under ``root/<protocol>/<id>`` and return its folder."""
    cell = replace(cell or Cell(), **changes)
    rules = load(cell.protocol)
    points, witnesses = _points(cell, rules)
    result = canonical(_result(cell, rules, points))
    folder = root / cell.protocol / cell.id
    folder.mkdir(parents=True)
    (folder / "submission.toml").write_text(_submission(cell), "utf-8")
    (folder / "result.json").write_bytes(result)
    (folder / "points.npz").write_bytes(points.pack())
    if witnesses:
        (folder / "witnesses.npz").write_bytes(pack_arrays(witnesses))
    if cell.level:
        verify(folder, cell.level, cell.day + timedelta(days=2))
    return folder


def cells(count: int, protocol: str = "digits-v1") -> list[Cell]:
    """Return a varied board: parents, recipes, sparsities, levels, a collapsed and a flagged entry."""
    made: list[Cell] = []
    shares = ("1/2", "3/4", "9/10", "19/20", "99/100")
    levels = ("re-run", "re-run", "reproduced", "checked", None)
    for number in range(count):
        parent, rest = divmod(number, 1 + len(RECIPES) * len(shares))
        base = Cell(parent=f"net-{parent}", protocol=protocol, lottery=number)
        strength, when = 0.6 + 0.17 * (parent * 7 % 9), date(2026, 1, 5) + timedelta(days=number % 90)
        if rest == 0:
            made.append(replace(base, id=f"net-{parent}-dense", name=f"Network {parent}", strength=strength, day=when))
            continue
        recipe, share = RECIPES[(rest - 1) // len(shares)], Fraction(shares[(rest - 1) % len(shares)])
        bonus = 0.08 if share == Fraction(1, 2) and recipe == "magnitude-global" else 0.0
        loss = _LOSS[recipe] * float(share) ** 6 - bonus
        collapsed = recipe == "random-erk" and share >= Fraction(19, 20)
        made.append(
            replace(
                base,
                id=f"net-{parent}-{recipe}-{str(share).replace('/', 'of')}",
                name=f"Network {parent}",
                recipe=recipe,
                sparsity=share,
                strength=max(0.05, strength * (1 - loss)),
                accuracy=0.1 if collapsed else 0.96 - 0.3 * _LOSS[recipe] * float(share) ** 8,
                collapsed=collapsed,
                level=levels[number % len(levels)],
                flags=(ZERO_GRADIENTS,) if number % 13 == 5 else (),
                day=when,
            )
        )
    return made


def board(root: Path, count: int, protocol: str = "digits-v1") -> Path:
    """Write a whole synthetic board and return ``root``."""
    for cell in cells(count, protocol):
        write(root, cell)
    return root


ZERO_GRADIENTS = Flag(
    check="zero-gradients",
    level=Level.WARN,
    figure=0.21,
    threshold=0.1,
    says="21 % of the points give APGD no gradient at all; gradient attacks may overstate robustness.",
)


def _points(cell: Cell, rules: Protocol) -> tuple[PointTable, dict[str, np.ndarray]]:
    count = rules.data.points
    shared, own = np.random.default_rng(7), np.random.default_rng(_seed(cell))
    label = np.arange(count, dtype=np.int64) % 10
    hardness = shared.lognormal(0, 0.6, count) * own.lognormal(0, 0.15, count) * cell.strength
    wrong = shared.random(count) * 0.7 + own.random(count) * 0.3 > np.quantile(shared.random(count), cell.accuracy)
    prediction = np.where(wrong, (label + 1) % 10, label).astype(np.int64)
    if cell.collapsed:
        prediction = np.zeros(count, dtype=np.int64)
    correct = prediction == label
    pixels = np.clip(np.round(2.2 * hardness), 1, 40).astype(np.int64)
    height = np.clip(0.13 * hardness, 0.004, 0.7).astype(np.float32)
    unbroken = correct & (own.random(count) < 0.02)
    clean = own.uniform(0.05, 0.25, (count, 1, 8, 8)).astype(np.float32)
    image = clean.copy()
    for row in np.flatnonzero(correct):
        image[row].reshape(-1)[: pixels[row]] += height[row]
    distance = {}
    for norm, values in measure(image, clean).items():
        distance[norm] = np.where(correct, np.where(unbroken, np.inf, values), 0.0).astype(np.float32)
    broken = {}
    for threat in _brought(cell, rules):
        fell = correct & (distance[threat.norm] <= np.float32(surface(threat.norm, float(threat.epsilon))))
        # what no attack of the cascade broke fell to a witness from elsewhere
        by = own.choice(len(rules.cascade(threat.norm)) + 1, count, p=_shares(len(rules.cascade(threat.norm))))
        for index, attack in enumerate(rules.cascade(threat.norm)):
            broken[threat.norm, attack] = fell & (by == index)
    table = PointTable(np.arange(rules.data.first, rules.data.first + count), label, prediction, distance, broken)
    witnesses: dict[str, np.ndarray] = {}
    for norm in Norm if cell.witnesses else ():
        found = correct & ~unbroken & sampled(table.id, image.shape[1:])
        witnesses |= {f"id_{norm}": table.id[found], f"image_{norm}": image[found], f"clean_{norm}": clean[found]}
    return table, witnesses


def _seed(cell: Cell) -> int:
    if cell.lottery is None and cell.id != Cell.id:
        return zlib.crc32(cell.id.encode())
    return 1000 + (cell.lottery or 0)


def _brought(cell: Cell, rules: Protocol) -> list[Threat]:
    return [threat for threat in rules.threats if threat.norm in cell.norms]


def _shares(attacks: int) -> list[float]:
    weights = [0.5**index for index in range(attacks)]
    return [0.97 * weight / sum(weights) for weight in weights] + [0.03]


def _result(cell: Cell, rules: Protocol, points: PointTable) -> dict[str, object]:
    correct = int(points.correct.sum())
    threats, curves = [], {}
    for threat in _brought(cell, rules):
        standing, attacks = correct, []
        for attack in rules.cascade(threat.norm):
            fell = int(points.broken[threat.norm, attack].sum())
            attacks.append(_attack(attack, standing, fell))
            standing -= fell
        best = int(points.standing(threat.norm, threat.epsilon).sum())
        counts = {"robust": standing, "best_known": best, "attacks": attacks}
        threats.append({"norm": threat.norm, "epsilon": str(threat.epsilon), **counts})
    for curve in (curve for curve in rules.curves if curve.norm in cell.norms):
        robust = [int(points.standing(curve.norm, epsilon).sum()) for epsilon in curve.epsilons]
        curves[curve.norm] = {"epsilon": [str(epsilon) for epsilon in curve.epsilons], "robust": robust}
    dense = cell.recipe == "dense"
    attacks = [attack for threat in threats for attack in threat["attacks"]]
    spent = {kind: sum(attack[kind] for attack in attacks) for kind in ("forwards", "backwards")}
    left = {threat["norm"]: threat["best_known"] for threat in threats}
    easier = {norm: min(correct, robust + (correct - robust) // 3) for norm, robust in left.items()}
    scenarios = {"black-box": {"robust": easier, "forwards": 4000}}
    return {
        "schema": "bench.result/2",
        "standard": True,
        "deviations": [],
        "protocol": {"name": rules.name, "digest": rules.digest},
        "model": {
            "ref": f"embedded:{cell.parent}",
            "architecture": "small-cnn",
            "parent": None if dense else f"embedded:{cell.parent}",
            "weights_sha256": _sha(cell.weights or cell.id),
            "parent_sha256": _sha(f"{cell.parent}-dense") if not dense else None,
            "file_sha256": None,
            "normalisation": None,
            "parameters": 9930,
        },
        "pruning": _pruning(cell),
        "data": {
            "name": rules.data.dataset,
            "split": rules.data.split,
            "points": rules.data.points,
            "digest": rules.data.digest or cell.pixels,
            "classes": [str(digit) for digit in range(10)],
        },
        "clean": {"correct": correct},
        "threats": threats,
        "curves": curves,
        "scenarios": scenarios if dense else scenarios | {"transfer": {"robust": easier, "forwards": 1500}},
        "flags": [flag.model_dump(mode="json") for flag in cell.flags],
        "collapsed": cell.collapsed,
        "seed": rules.seed,
        "engine": "reference",
        "batch_size": 256,
        "environment": {"bench": "0.1.0", "python": "3.11.2", "torch": "2.15.0"},
        "cost": {
            "seconds": 41.5,
            "machine": {"processor": "Some Processor 4.2 GHz", "accelerator": None, "threads": 2},
            "energy": [{"meter": "rapl", "joules": 1234.5}],
            "latency": {
                "clock": "processor",
                "batch": 16,
                "repeats": 7,
                "parent": None,
                "network": {"forward": [1e-5, 2e-5, 3e-5], "both": [2e-5, 4e-5, 6e-5]},
            },
            "forwards": spent["forwards"] + 6000,
            "backwards": spent["backwards"] + 500,
        },
    }


def _attack(name: str, attempted: int, broken: int) -> dict[str, object]:
    passes = 203 * attempted
    return {
        "name": name,
        "attempted": attempted,
        "broken": broken,
        "rejected": 0,
        "forwards": passes,
        "backwards": passes,
    }


def _pruning(cell: Cell) -> dict[str, object]:
    layers, share = [], cell.sparsity or Fraction(0)
    for name, shape, positions in _LAYERS:
        weights = int(np.prod(shape))
        layers.append(
            {
                "name": name,
                "shape": list(shape),
                "weights": weights,
                "zeros": round(share * weights),
                "macs": weights * positions,
            }
        )
    prunable, zeros = sum(layer["weights"] for layer in layers), sum(layer["zeros"] for layer in layers)
    macs = sum(layer["macs"] for layer in layers)
    kept = sum(layer["macs"] * (layer["weights"] - layer["zeros"]) // layer["weights"] for layer in layers)
    return {
        "recipe": cell.recipe,
        "version": 1,
        "structure": "dense" if cell.recipe == "dense" else "unstructured",
        "scope": "none" if cell.recipe == "dense" else "global" if cell.recipe == "magnitude-global" else "layer",
        "regime": cell.regime,
        "target": None if cell.sparsity is None else str(cell.sparsity),
        "prunable": prunable,
        "zeros": zeros,
        "connected": prunable - zeros,
        "nonzero": prunable - zeros + 58,
        "parameters": prunable + 58,
        "macs": macs,
        "nonzero_macs": kept,
        "parent_macs": macs,
        "bytes_plain": 4 * (prunable + 58),
        "bytes_packed": 4 * (prunable - zeros) + prunable // 8,
        "collapsed_layers": [],
        "layers": layers,
    } | _others(cell)


def _others(cell: Cell) -> dict[str, object]:
    """Return what a record says where a method of others stands in for a recipe."""
    if cell.theirs is None:
        return {}
    claim = {} if cell.claim is None else {"claim": {"sparsity": None, "structure": None} | cell.claim}
    return {"recipe": None, "method": cell.theirs, "version": 0, "scope": "none", "target": None, **claim}


def _submission(cell: Cell) -> str:
    lines = {
        "schema": "bench.submission/1",
        "id": cell.id,
        "name": cell.name,
        "authors": ["A. Author", "B. Author"],
        "method": cell.method or ("dense parent" if cell.recipe == "dense" else cell.recipe),
        "description": "A synthetic entry that tests are made of.",
        "licence": "MIT",
        "extra_data": False,
    }
    if cell.paper:
        lines["paper"] = cell.paper
    if cell.supersedes:
        lines["supersedes"] = cell.supersedes
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in lines.items())
    pruned = cell.theirs is None and cell.recipe != "dense"
    share = f" at sparsity {cell.sparsity}" if cell.sparsity is not None else ""
    how = f" pruned by {cell.recipe} version 1{share}" if pruned else ""
    locator = f"embedded:{cell.parent}{how}"
    if cell.regime != "one-shot":
        locator = f"https://huggingface.co/{cell.parent}/{cell.id}/resolve/{40 * 'a'}/model.safetensors"
    weights = {"locator": locator, "sha256": _sha(cell.weights or cell.id), "bytes": 39720}
    pinned = "".join(f"{key} = {json.dumps(value)}\n" for key, value in weights.items())
    return f"{text}date = {cell.day.isoformat()}\n\n[weights]\n{pinned}"


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

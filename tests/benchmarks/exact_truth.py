"""Find the true robust counts of the smallest embedded network, dense and pruned, by mixed-integer programming.

    nice python tests/benchmarks/exact_truth.py

An attack bounds the robust count from above; here it meets the truth. For every point that the network reads right
and every other class, one program asks for the image within the radius on which that class is farthest ahead. Where
none has a solution the point is robust, whatever anybody attacks it with; a solution is rounded to float32 and counts
only if the network itself, in a fresh forward pass, misreads it. What neither happens to is called unresolved.
EXACT.json beside this file takes every verdict, EXACT.md the page; ``--page`` writes the page again from the JSON.

Encoding: a rectifier a = max(0, z) with bounds l ≤ z ≤ u is a = 0 where u ≤ 0, a = z where l ≥ 0, and otherwise a ≥ 0,
a ≥ z, a ≤ u·d, a ≤ z − l·(1 − d) with a binary d. Bounds of the first layer are those of intervals, which are exact
there; those of the second are tightened by two linear programs for each unit.

Source: Tjeng, Xiao and Tedrake 2019, arXiv:1711.07356, sections 4.1 and 4.2.
"""

import argparse
import copy
import json
import sys
import time
from collections import Counter
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import highspy
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from bench.atomic import write_atomic  # noqa: E402 - this checkout, whatever else is installed
from bench.errors import ContractError, DisagreementError  # noqa: E402
from bench.evaluation.judge.verify import verify  # noqa: E402
from bench.evaluation.machine import machine  # noqa: E402
from bench.evaluation.plan.plan import Request, plan  # noqa: E402
from bench.evaluation.plan.prepare import Cell, prepare  # noqa: E402
from bench.models.source import ModelRef, Normalised  # noqa: E402
from bench.protocol.load import load as rules_of  # noqa: E402
from bench.submission.files import canonical, read_result  # noqa: E402
from bench.submission.points import PointTable, read_points  # noqa: E402
from bench.tensors import Images  # noqa: E402
from bench.threats import Norm, ThreatModel, surface  # noqa: E402

KEPT, PAGE = HERE / "EXACT.json", HERE / "EXACT.md"
PROTOCOL, MODEL = "digits-v1", "digits-tiny-linf"
THREAT = rules_of(PROTOCOL).threat(Norm.LINF).model
NETWORKS: tuple[tuple[str, str, Fraction | None], ...] = (
    ("dense", "dense", None),
    ("magnitude-global-50", "magnitude-global", Fraction(1, 2)),
    ("magnitude-global-90", "magnitude-global", Fraction(9, 10)),
)
"""End of the entry's id, recipe, sparsity."""
MARGIN = 1e-4
"""Of logits: a class that stays this far below the label has lost, one that gets this near may have won."""
ROOM = 1e-6
"""By which a bound is widened that a linear program gave."""
TOLERANCE = 1e-9
"""Of constraints and of whole numbers, where the solver's own is 1e-6."""
PATIENCE = 60.0
"""Seconds for one program before the point is left unresolved."""

Floats = NDArray[np.float64]
Truth = Literal["robust", "broken", "unresolved", "misread"]


class Layers(NamedTuple):
    """A network of affine maps with rectifiers between them, in float64: weights (out, in) and biases (out,)."""

    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]

    @classmethod
    def of(cls, network: Normalised, images: Images) -> "Layers":
        """Read a network apart, each part between two rectifiers by what it makes of the unit vectors.

        Raises:
            ContractError: if the parts put together do not answer as the network does.
        """
        exact = copy.deepcopy(network).double()
        assert isinstance(exact.network, nn.Sequential)
        parts: list[list[nn.Module]] = [[]]
        for module in exact.network:
            if isinstance(module, nn.ReLU):
                parts.append([])
            else:
                parts[-1].append(module)
        maps = [nn.Sequential(*part) for part in parts]
        weights, biases, size = [], [], images.shape[1:]
        for number, step in enumerate(maps):
            zero, units = torch.zeros(1, *size).double(), torch.eye(size.numel()).double().reshape(-1, *size)
            if number == 0:
                zero, units = ((x - exact.mean) / exact.std for x in (zero, units))
            base = step(zero)
            weights.append((step(units) - base).flatten(1).T.numpy())
            biases.append(base.flatten().numpy())
            size = base.shape[1:]
        made = cls(tuple(weights), tuple(biases))
        answers = np.stack([made.logits(image) for image in images.flatten(1).double().numpy()])
        if np.abs(answers - network(images).numpy()).max() > MARGIN / 10:
            raise ContractError("the network is no chain of affine maps and rectifiers; its parts answer otherwise.")
        return made

    def logits(self, x: Floats) -> Floats:
        """Return what the network answers to a flat image."""
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = np.maximum(weight @ x + bias, 0)
        return np.asarray(self.weights[-1] @ x + self.biases[-1])


class Program:
    """The network over one box of images, as a mixed-integer program to which a class to win is put."""

    def __init__(self, layers: Layers, low: Floats, high: Floats) -> None:
        self.layers, self.pixels, self.solves, self.nodes = layers, len(low), 0, 0
        self._solver = highspy.Highs()
        held = ("mip_feasibility_tolerance", "primal_feasibility_tolerance", "dual_feasibility_tolerance")
        settings = {"output_flag": False, "log_to_console": False, "threads": 1, "mip_rel_gap": 0.0}
        settings |= {"time_limit": PATIENCE, **dict.fromkeys(held, TOLERANCE)}
        for name, value in settings.items():
            self._do(self._solver.setOptionValue(name, value))
        inputs = np.array([self._variable(*ends) for ends in zip(low, high, strict=True)])
        binary: list[int] = []
        for number, (weight, bias) in enumerate(zip(layers.weights[:-1], layers.biases[:-1], strict=True)):
            ends = bounds(weight, bias, low, high)
            if number:
                ends = self._tightened(weight, bias, inputs, ends)
            units = [self._unit(*unit, inputs, binary) for unit in zip(weight, bias, *ends, strict=True)]
            low, high = (np.maximum(end, 0) for end in ends)
            inputs = np.array(units)
        for column in binary:
            self._do(self._solver.changeColIntegrality(column, highspy.HighsVarType.kInteger))
        self._last = inputs

    def beats(self, winner: int, label: int) -> Floats | None:
        """Return the flat image on which ``winner`` is farthest ahead of ``label``; None where it stays MARGIN behind.

        Raises:
            TimeoutError: if the solver does not come to an end.
        """
        row = self.layers.weights[-1][winner] - self.layers.weights[-1][label]
        bias = float(self.layers.biases[-1][winner] - self.layers.biases[-1][label])
        self._aim(row, self._last)
        self._do(self._solver.changeObjectiveSense(highspy.ObjSense.kMaximize))
        constraint = self._solver.getNumRow()
        self._row(-MARGIN - bias, np.inf, self._last, row)
        status = self._solve()
        image = None
        if status == highspy.HighsModelStatus.kOptimal:
            image = np.array(self._solver.getSolution().col_value[: self.pixels])
        elif status != highspy.HighsModelStatus.kInfeasible:
            raise TimeoutError(self._solver.modelStatusToString(status))
        self._do(self._solver.deleteRows(1, np.array([constraint], dtype=np.int32)))
        return image

    def _tightened(
        self, weight: Floats, bias: Floats, inputs: NDArray[Any], ends: tuple[Floats, Floats]
    ) -> tuple[Floats, Floats]:
        """Return bounds of a layer from the relaxed program of the layers before it, where they are better."""
        low, high = (end.copy() for end in ends)
        for unit, row in enumerate(weight):
            self._aim(row, inputs)
            for sense, end, sign in ((highspy.ObjSense.kMinimize, low, -1), (highspy.ObjSense.kMaximize, high, 1)):
                self._do(self._solver.changeObjectiveSense(sense))
                if self._solve() != highspy.HighsModelStatus.kOptimal:
                    continue  # the bound of the intervals holds without it
                found = self._solver.getInfo().objective_function_value + bias[unit] + sign * ROOM
                end[unit] = max(end[unit], found) if sign < 0 else min(end[unit], found)
        return low, high

    def _unit(self, row: Floats, bias: float, low: float, high: float, inputs: NDArray[Any], binary: list[int]) -> int:
        """Add one rectifier over its inputs and return its variable."""
        unit = self._variable(0.0, max(high, 0.0))
        if high <= 0:
            return unit
        columns, values = np.append(inputs, unit), np.append(-row, 1.0)
        if low >= 0:
            self._row(bias, bias, columns, values)  # a - wx = b
            return unit
        switch = self._variable(0.0, 1.0)
        binary.append(switch)
        self._row(bias, np.inf, columns, values)  # a - wx >= b
        self._row(-np.inf, 0.0, np.array([unit, switch]), np.array([1.0, -high]))  # a <= u d
        self._row(-np.inf, bias - low, np.append(columns, switch), np.append(values, -low))  # a - wx - l d <= b - l
        return unit

    def _variable(self, low: float, high: float) -> int:
        self._do(self._solver.addVar(low, high))
        return self._solver.getNumCol() - 1

    def _row(self, low: float, high: float, columns: NDArray[Any], values: Floats) -> None:
        kept = np.flatnonzero(values)
        self._do(self._solver.addRow(low, high, len(kept), columns[kept].astype(np.int32), values[kept]))

    def _aim(self, row: Floats, inputs: NDArray[Any]) -> None:
        cost = np.zeros(self._solver.getNumCol())
        cost[inputs] = row
        self._do(self._solver.changeColsCost(len(cost), np.arange(len(cost), dtype=np.int32), cost))

    def _solve(self) -> Any:
        self._solver.run()
        self.solves += 1
        self.nodes += max(0, self._solver.getInfo().mip_node_count)
        return self._solver.getModelStatus()

    @staticmethod
    def _do(status: highspy.HighsStatus) -> None:
        if status == highspy.HighsStatus.kError:
            raise ContractError("the solver refused a part of the program.")


def bounds(weight: Floats, bias: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Return the least and the largest value of each affine form over a box."""
    rise, fall = np.maximum(weight, 0), np.minimum(weight, 0)
    return rise @ low + fall @ high + bias, rise @ high + fall @ low + bias


def box(image: Tensor, radius: float) -> tuple[Floats, Floats]:
    """Return the ends of all images within a radius of this one and within [0, 1], flat."""
    flat = image.flatten().double().numpy()
    return np.maximum(flat - radius, 0), np.minimum(flat + radius, 1)


def rounded(found: Floats, low: Floats, high: Floats) -> NDArray[np.float32]:
    """Return the nearest float32 image that does not leave the box."""
    ends = low.astype(np.float32), high.astype(np.float32)
    least = np.where(ends[0] < low, np.nextafter(ends[0], np.float32(1)), ends[0])
    most = np.where(ends[1] > high, np.nextafter(ends[1], np.float32(0)), ends[1])
    return np.clip(found.astype(np.float32), least, most)


class Verdict(NamedTuple):
    """What is true of one point.

    Attributes:
        winner: the class that a witness is taken for.
        lead: the most by which that class can win within the radius, of the logits.
        size: of the witness, as the judge measures it.
        witness: an image that is misread within the radius.
        solves: programs, those of bounds included.
        nodes: of branch and bound, over all programs.
    """

    truth: Truth
    winner: int | None = None
    lead: float | None = None
    size: float | None = None
    witness: Tensor | None = None
    solves: int = 0
    nodes: int = 0


@torch.no_grad()
def truth(network: nn.Module, layers: Layers, image: Tensor, label: int, threat: ThreatModel) -> Verdict:
    """Tell what is true of one point (1, C, H, W) that the network reads right, under Linf."""
    radius = float(threat.epsilon)
    inner, ends = box(image, radius), box(image, surface(threat.norm, radius))
    program = Program(layers, *ends)
    logits = layers.logits(image.flatten().double().numpy())
    unresolved = False
    for winner in (int(one) for one in np.argsort(-logits) if one != label):
        try:
            found = program.beats(winner, label)
            if found is None:
                continue
            won = layers.logits(found)
            for within in (inner, ends):
                witness = torch.from_numpy(rounded(found, *within)).reshape(image.shape)
                judged = verify(network, image, witness, torch.tensor([label]), threat)
                if bool(judged.fooled & judged.inside):
                    taken, size = int(network(witness).argmax()), float(judged.distances[threat.norm])
                    lead = float(won[winner] - won[label])
                    return Verdict("broken", taken, lead, size, witness, program.solves, program.nodes)
        except TimeoutError:
            pass
        unresolved = True
    return Verdict("unresolved" if unresolved else "robust", solves=program.solves, nodes=program.nodes)


def cell_of(recipe: str, sparsity: Fraction | None) -> Cell:
    """Return the embedded network under a recipe, as an evaluation has it."""
    return prepare(plan(Request(ModelRef.parse(f"embedded:{MODEL}"), rules_of(PROTOCOL), recipe, sparsity)))


def entry_of(cell: Cell, ending: str) -> tuple[str, PointTable]:
    """Return the published entry of the same network, and what its cascade left of each point.

    Raises:
        DisagreementError: if the entry is of another network.
    """
    name = f"{MODEL}--{ending}"
    folder = ROOT / "submissions" / PROTOCOL / name
    if read_result(folder / "result.json").model.weights_sha256 != cell.digest:
        raise DisagreementError(f"{name} is an entry of other weights than those that were pruned here.")
    return name, read_points(folder / "points.npz")


def measure(
    ending: str, recipe: str, sparsity: Fraction | None, count: int, witnesses: Path | None = None
) -> dict[str, Any]:
    """Return the record of one network on the first points of the protocol; counts are of these points.

    With ``witnesses``, the images that break points which the cascade missed are written there, for a challenge.
    """
    cell = cell_of(recipe, sparsity)
    name, table = entry_of(cell, ending)
    points, network, threat = cell.points.head(count), cell.pruned.network, THREAT
    images, labels, start = points.images(), points.label_tensor(), time.process_time()
    layers, found = Layers.of(network, images), []
    with torch.no_grad():
        right = (network(images).argmax(dim=1) == labels).tolist()
    for index, point in enumerate(map(int, points.ids)):
        image, label = images[index : index + 1], int(labels[index])
        found.append(truth(network, layers, image, label, threat) if right[index] else Verdict("misread"))
        print(name, point, found[-1].truth, f"{time.process_time() - start:.0f} s", file=sys.stderr, flush=True)
    rows = np.array([int(np.flatnonzero(table.id == point)[0]) for point in points.ids])
    best = table.standing(Norm.LINF, threat.epsilon)[rows]
    first = table.attacks(Norm.LINF)[0]
    if wrong := [int(points.ids[at]) for at, one in enumerate(found) if one.truth == "robust" and not best[at]]:
        raise DisagreementError(
            f"{name}: points {wrong} have a witness and are called robust; one of the two is wrong."
        )
    missed = [at for at, one in enumerate(found) if one.truth == "broken" and best[at]]
    if witnesses is not None and missed:
        beyond = torch.cat([cast("Tensor", found[at].witness) for at in missed]).numpy()
        np.savez(witnesses / f"{name}.npz", id=points.ids[missed], image=beyond)
    return {
        "entry": name,
        "weights_sha256": cell.digest,
        "nonzero": cell.pruned.measured.nonzero,
        "verdicts": "".join(one.truth[0] for one in found),
        "best_known": "".join("-+"[int(stands)] for stands in best),
        "cascade": int(table.robust(Norm.LINF)[rows].sum()),
        "first": {"attack": first, "leaves": int((table.correct & ~table.broken[Norm.LINF, first])[rows].sum())},
        "missed": [
            {"id": int(points.ids[at]), "winner": found[at].winner, "lead": found[at].lead,
             "found_at": float(table.distance[Norm.LINF][rows[at]])}
            for at in missed
        ],
        "largest_witness": max((one.size for one in found if one.size is not None), default=None),
        "solves": sum(one.solves for one in found),
        "nodes": sum(one.nodes for one in found),
        "seconds": round(time.process_time() - start, 1),
    }  # fmt: skip


def page(found: dict[str, Any]) -> str:
    """Return the page over the record."""
    lines, missed = [], []
    for one in found["networks"]:
        tally = Counter(one["verdicts"])
        lines.append(
            f"| `{one['entry']}` | {one['nonzero']:,} | {len(one['verdicts']) - tally['m']} | {one['first']['leaves']} "
            f"| {one['cascade']} | {one['best_known'].count('+')} | **{tally['r']}** | {tally['u']} | "
            f"{len(one['missed'])} | {one['nodes']:,} | {one['seconds']:.0f} |"
        )
        missed += [
            f"- `{one['entry']}`, point {point['id']}: the logit of class {point['winner']} is ahead by at most "
            f"{point['lead']:.2g} there; the nearest witness that any attack found lies at {point['found_at']:.4f}."
            for point in one["missed"]
        ]
    return _PAGE.format(
        count=len(found["networks"][0]["verdicts"]),
        rows="\n".join(lines),
        missed="\n".join(missed) or "None.",
        **{key: found[key] for key in ("epsilon", "solver", "machine", "margin", "tolerance")},
    )


_PAGE = """\
# How far the cascade is from the truth

An attack says how many points it could not break, which bounds from above how many are robust. On a network of 1,250
parameters the truth itself can be found. For every point and every other class a mixed-integer program asks for an
image within Linf {epsilon} on which that class comes within {margin:g} of the label's logit. Where none has a solution
the point is robust, whatever anybody attacks it with. A solution counts only if it still fools after rounding to
float32: the network itself misreads it in a fresh forward pass, within the radius, judged as every attack's candidate
is. What neither happens to is *unresolved*.

Robust among the first {count} points of digits-v1, as APGD-CE alone leaves them, the norm's own cascade, all witnesses
there are, and the programs (parameters: those that are not zero); the entries are the committed ones, of the same
weights by digest:

| entry | parameters | read right | APGD-CE | cascade | best known | truth | unresolved | missed | nodes | seconds |
|---|---|---|---|---|---|---|---|---|---|---|
{rows}

The points that the cascade missed:

{missed}

With `--witnesses FOLDER` their images are written down, for `bench challenge new`: the challenge `exact` of that entry
was made so, and boards count it.

No known witness lies on a point that the programs call robust. They are solved by {solver} on one thread ({machine},
processor seconds), in floating point, with constraints and whole numbers held to {tolerance:g}: far closer than the
{margin:g} that a class must stay behind, but no proof in exact arithmetic. That programs seldom branch (nodes) is due
to so small a network; nothing here says how far the cascade is from the truth on a larger one.

Again: `nice python tests/benchmarks/exact_truth.py`. Every verdict, in the order of ids (robust, broken, unresolved,
misread; `+` where no witness is known), lies in [EXACT.json](EXACT.json). Encoding: Tjeng, Xiao and Tedrake 2019,
[arXiv:1711.07356](https://arxiv.org/abs/1711.07356).
"""


def main() -> None:
    """Measure, or write the page again."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--points", type=int, default=500)
    parser.add_argument("--page", action="store_true", help="write the page from EXACT.json")
    parser.add_argument("--witnesses", type=Path, help="folder for the images that break what the cascade missed")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if not asked.page:
        found = {
            "schema": "bench.exact/1",
            "protocol": PROTOCOL,
            "norm": str(THREAT.norm),
            "epsilon": str(THREAT.epsilon),
            "margin": MARGIN,
            "tolerance": TOLERANCE,
            "solver": f"HiGHS {version('highspy')}",
            "machine": machine(torch.device("cpu")).processor,
            "networks": [measure(*network, asked.points, asked.witnesses) for network in NETWORKS],
        }
        write_atomic(KEPT, canonical(found))
    write_atomic(PAGE, page(json.loads(KEPT.read_bytes())).encode())


if __name__ == "__main__":
    main()

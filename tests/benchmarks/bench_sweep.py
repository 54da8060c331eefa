"""Measure what a sweep costs: against the naive loop, on one worker and on two, and on many in a simulation.

    python tests/benchmarks/bench_sweep.py [--out runs/bench-sweep] [--only entries grid naive alone workers simulation]

``grid`` carries out sweep_digits.toml. ``entries`` (those that are committed) and ``naive`` (the grid) hold sweeps
against the naive loop, which is what somebody does who has `pyautoattack` alone and wants the same curves: AutoAttack
standard at every radius of the protocol's grids under Linf and L2, cell by cell; its passes are counted on a sample of
the cells and predicted for the others from the points that stand and fall there, by the cost of either that the package
has (7,856 forward and 1,910 backward passes a point that stands, 103 and 101 one that falls). Under L0 the package has
nothing, and it knows no checks and scenarios, so passes are told twice: all of the sweep's, and those of its attacks
under Linf and L2, which is what the naive loop does. ``alone`` evaluates the sample by
`bench evaluate`, each cell in a folder of its own. ``workers`` carries out a small grid on one and two workers, by
local processes and by Ray, start-up apart. ``simulation`` hands the seconds that the committed entries took to up to
512 workers. What was measured is kept in SWEEPS.json, and the chart is drawn from it.
"""

import argparse
import heapq
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

from bench.attacks.attack import Passes
from bench.attacks.reference import reference
from bench.evaluation import environment
from bench.evaluation.conduct.grid import Planned, grid
from bench.evaluation.conduct.run import aim
from bench.evaluation.conduct.sweep import alone
from bench.evaluation.conduct.sweep_file import read_sweep
from bench.evaluation.environment import exact_arithmetic
from bench.evaluation.judge.pool import Pool
from bench.evaluation.plan.prepare import prepare
from bench.evaluation.record.ledger import read_lines
from bench.evaluation.search.cascade import Cascade
from bench.protocol.load import load
from bench.submission.files import RESULT_FILE, read_result
from bench.submission.points import read_points
from bench.submission.schema import Result
from bench.threats import Norm, ThreatModel

HERE = Path(__file__).parent
FILE, KEPT = HERE / "sweep_digits.toml", HERE / "SWEEPS.json"
CHART = HERE.parents[1] / "bench" / "site" / "docs" / "sweep_simulation.svg"
STANDS, FALLS = Passes(7856, 1910), Passes(103, 101)
"""Passes of AutoAttack standard per point that stands, and per point that falls to its first attack."""
ENTRIES = HERE.parents[1] / "submissions" / "digits-v1"
CHILDREN = 83
"""Pruned cells of one network in the grid of digits-v1."""
MESSAGES, BYTES = 100, 2_000_000
"""Of a cell of 500 points: batches that come back, and bytes; 25 points take 18 and 105 thousand."""
STANDARD = ("apgd-ce", "apgd-t", "fab-t", "square")
SAMPLE = 4
WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

Record = dict[str, Any]


def cells_of(out: Path) -> list[Planned]:
    """Return the cells of the file."""
    read = read_sweep(FILE)
    return grid(read.blocks(HERE), load(read.protocol), preset="standard", out=out, limit=read.limit, device="cpu")


def bench(*words: str) -> float:
    """Carry out a command, and return the seconds it took."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "bench", *words], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def total(spent: Passes) -> int:
    return spent.forwards + spent.backwards


def swept(out: Path) -> Record:
    """Carry out the grid, as far as it is not done, and return what it cost."""
    bench("sweep", "--file", str(FILE), "--executor", "here", "--device", "cpu", "--out", str(out))
    cells = cells_of(out)
    results = [read_result(cell.plan.out / RESULT_FILE) for cell in cells]
    return {
        "cells": len(cells),
        "points": len(cells[0].plan.ids),
        "passes": sum(one.cost.forwards + one.cost.backwards for one in results),
        "passes of attacks under Linf and L2": sum(map(alike, results)),
        "seconds": round(sum(one.cost.seconds for one in results), 1),
        "networks": len({cell.plan.request.model for cell in cells}),
        "recipes": len({cell.plan.request.recipe for cell in cells}),
    }


def sample_of(cells: Sequence[Planned]) -> list[Planned]:
    """Return some cells, drawn once and for all."""
    return random.Random(0).sample(list(cells), SAMPLE)


def predicted(result: Result) -> Passes:
    """Return what the naive loop costs on a cell by the points that stand at each radius."""
    spent = Passes(0, 0)
    for norm in (Norm.LINF, Norm.L2):
        curve = result.curves[norm]
        for radius, standing in zip(curve.epsilon, curve.robust, strict=True):
            if Fraction(radius):
                fallen = result.clean.correct - standing
                spent += Passes(
                    STANDS.forwards * standing + FALLS.forwards * fallen,
                    STANDS.backwards * standing + FALLS.backwards * fallen,
                )
    return spent


def counted(cell: Planned) -> tuple[Passes, dict[str, Any], float]:
    """Run the naive loop on a cell; return its passes, the points robust at the radii of the rules, and the seconds."""
    plan, spent, robust = cell.plan, Passes(0, 0), {}
    began = time.process_time()
    with exact_arithmetic():
        ready = prepare(plan)
        target = aim(ready, torch.device("cpu"), 250)
        correct = target.logits.argmax(dim=1) == target.labels
        for curve in plan.protocol.curves:
            if curve.norm is Norm.L0:
                continue
            for radius in filter(None, curve.epsilons):
                threat = ThreatModel(curve.norm, radius)
                pool = Pool(target.images, correct, [threat])
                cascade = Cascade(target, pool, plan.seed, 250, may_shrink=False)
                for name in STANDARD:
                    tally = cascade.run(reference(name), threat, plan.protocol.attacks[name])
                    spent += Passes(tally.forwards, tally.backwards)
                if threat == plan.protocol.threat(curve.norm).model:
                    robust[curve.norm.value] = pool.withstanding(curve.norm, float(radius)).tolist()
    return spent, robust, time.process_time() - began


def naive(out: Path) -> Record:
    """Count the naive loop on the sample, predict it for all, and compare verdicts point by point."""
    cells, rows = cells_of(out), []
    for cell in sample_of(cells):
        spent, robust, seconds = counted(cell)
        points = read_points(cell.plan.out / "points.npz")
        apart, more = {}, {}
        for norm, theirs in robust.items():
            ours = points.robust(Norm(norm)).tolist()
            apart[norm] = sum(one != other for one, other in zip(ours, theirs, strict=True))
            more[norm] = sum(ours) - sum(theirs)
        rows.append(
            {
                "cell": cell.name,
                "counted": total(spent),
                "predicted": total(predicted(read_result(cell.plan.out / RESULT_FILE))),
                "seconds": round(seconds, 1),
                "verdicts apart": apart,
                "ours more robust": more,
            }
        )
    return {
        "sample": rows,
        "predicted for all": sum(total(predicted(read_result(cell.plan.out / RESULT_FILE))) for cell in cells),
        "at the radii of the rules alone": sum(_headline(read_result(cell.plan.out / RESULT_FILE)) for cell in cells),
    }


def alike(result: Result) -> int:
    """Return the passes of a cell's attacks and curves under the norms that the naive loop knows."""
    attacks = [attack for threat in result.threats if threat.norm is not Norm.L0 for attack in threat.attacks]
    return sum(attack.forwards + attack.backwards for attack in attacks)


def _headline(result: Result) -> int:
    spent = 0
    for threat in result.threats:
        if threat.norm is not Norm.L0:
            spent += total(STANDS) * threat.robust + total(FALLS) * (result.clean.correct - threat.robust)
    return spent


def entries(_: Path) -> Record:
    """Predict the naive loop for the committed entries, beside what they cost."""
    results = [read_result(folder / RESULT_FILE) for folder in sorted(ENTRIES.glob("digits-*"))]
    return {
        "entries": len(results),
        "passes": sum(one.cost.forwards + one.cost.backwards for one in results),
        "passes of attacks under Linf and L2": sum(map(alike, results)),
        "predicted for the naive loop": sum(total(predicted(one)) for one in results),
        "at the radii of the rules alone": sum(map(_headline, results)),
    }


def apart(out: Path) -> Record:
    """Evaluate the sample cell by cell, and count the verdicts that are otherwise than in the sweep."""
    found: Record = {"cells": 0, "verdicts": 0, "otherwise": 0, "most robust more": 0}
    for cell in sample_of(cells_of(out)):
        place = out / "alone" / cell.name
        request = replace(cell.plan.request, parent_first=True)
        plan = replace(cell.plan, request=request, out=place / cell.name)
        if not plan.out.exists():
            alone(plan)
        ours, theirs = (read_points(folder / "points.npz") for folder in (cell.plan.out, plan.out))
        found["cells"] += 1
        for norm in Norm:
            one, other = ours.robust(norm), theirs.robust(norm)
            found["verdicts"] += len(one)
            found["otherwise"] += int((one != other).sum())
            found["most robust more"] = max(found["most robust more"], int(one.sum()) - int(other.sum()))
    return found


def workers(out: Path) -> Record:
    """Carry out a small grid on one and two workers, and return the seconds from the first cell's begin to the end."""
    found: Record = {"load before": os.getloadavg()[0], "cores": os.cpu_count()}
    for executor in ("local", "ray"):
        for many in (1, 2):
            place = out / f"{executor}-{many}"
            bench(
                "sweep", "--protocol", "digits-v1", "--limit", "10", "--recipes", "dense,magnitude-global",
                "--sparsities", "1/2,9/10", "--models",
                "embedded:digits-tiny-linf,embedded:digits-mlp-linf,embedded:digits-cnn-linf,embedded:digits-cnn-l2",
                "--device", "cpu", "--executor", executor, "--workers", str(many), "--out", str(place),
            )  # fmt: skip
            lines, _ = read_lines(place)
            took = [line.took for line in lines if line.took is not None]
            ends = [line.seconds for line in lines]
            found[f"{executor}, {many}"] = {
                "seconds": round(max(ends) - min(ends), 1),
                "of the cells": [round(one, 1) for one in took],
            }
    found["memory of a worker, MiB"] = round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
    return found


class Costs:
    """What a cluster adds to the work: measured where it can be, else assumed, and said so in the chart."""

    SUBMIT = 0.002
    """Seconds of the driver for handing out one task."""
    MESSAGE = 0.002
    """Seconds of the driver for keeping one batch: a file and a line, each seen on disk."""
    LATENCY = 0.005
    """Seconds until a task begins on another node."""
    BANDWIDTH = 100e6
    """Bytes a second, between a node and the driver: a gigabit network."""


def makespan(families: Sequence[tuple[Sequence[Record], Sequence[Sequence[Record]]]], many: int) -> float:
    """Return how long a sweep takes on so many workers, by the order that ``Sweep`` keeps.

    Args:
        families: for each parent its tasks in turn (parts, then the whole), and those of each child; a task has its
            seconds, its messages and its bytes.
        many: workers.
    """
    driver, clock, free, order = 0.0, 0.0, many, 0
    queue: list[tuple[int, Record, int, int]] = []  # order, task, family, child (-1 for the parent)
    running: list[tuple[float, int, Record, int, int]] = []
    left: dict[tuple[int, int], list[list[Record]]] = {}
    children = [list(range(len(group[1]))) for group in families]

    def begin(family: int, child: int) -> None:
        nonlocal order
        tasks = families[family][0] if child < 0 else families[family][1][child]
        stages = [list(tasks[:-1]), [tasks[-1]]] if len(tasks) > 1 else [list(tasks)]
        left[family, child] = stages
        for task in stages[0]:
            queue.append((order, task, family, child))
            order += 1

    for family in range(len(families)):
        begin(family, -1)
    while queue or running:
        while queue and free:
            _, task, family, child = queue.pop(0)
            driver = max(driver, clock) + Costs.SUBMIT
            ends = driver + Costs.LATENCY + task["bytes"] / Costs.BANDWIDTH + task["seconds"]
            heapq.heappush(running, (ends, order, task, family, child))
            order += 1
            free -= 1
        clock, _, task, family, child = heapq.heappop(running)
        driver = max(driver, clock - task["seconds"]) + task["messages"] * Costs.MESSAGE
        clock = max(clock, driver)  # its last message waits for the driver
        free += 1
        stages = left[family, child]
        stages[0].remove(task)
        if not stages[0]:
            stages.pop(0)
            if stages:
                queue.append((order, stages[0][0], family, child))
                order += 1
            elif child < 0:
                for one in children[family]:
                    begin(family, one)
    return clock


def measured(folder: Path) -> Record:
    """Return the seconds of a committed entry, with the messages and bytes of a run of its size."""
    return {"seconds": read_result(folder / RESULT_FILE).cost.seconds, "messages": MESSAGES, "bytes": BYTES}


def cut(task: Record, parts: int, rest: float) -> list[Record]:
    """Return a cell cut in parts: their tasks, then the whole, which judges and checks in ``rest`` seconds."""
    work = max(0.0, task["seconds"] - rest)
    part = {"seconds": work / parts + 0.5, "messages": task["messages"], "bytes": task["bytes"] // parts}
    return [dict(part) for _ in range(parts)] + [
        {"seconds": rest, "messages": task["messages"], "bytes": task["bytes"]}
    ]


def simulation(_: Path) -> Record:
    """Hand the committed entries to many workers: as they are, as many as the protocol's grid has, and cut in parts."""
    entries = {folder: read_result(folder / RESULT_FILE) for folder in sorted(ENTRIES.glob("digits-*"))}
    dense = {one.model.weights_sha256: folder for folder, one in entries.items() if one.pruning.recipe == "dense"}
    under: dict[Path, list[Path]] = {folder: [] for folder in dense.values()}
    for folder, one in entries.items():
        if one.model.parent_sha256 in dense:
            under[dense[one.model.parent_sha256]].append(folder)
    small = [([measured(parent)], [[measured(one)] for one in group]) for parent, group in under.items()]
    draw = random.Random(0)
    every = [one for group in under.values() for one in group]
    large = [
        ([measured(parent)], [[measured(draw.choice(group or every))] for _ in range(CHILDREN)])
        for parent, group in under.items()
    ]
    tasks = [task for parent, group in small for task in (*parent, *(one[0] for one in group))]
    rest = min(task["seconds"] for task in tasks)  # of a cell on which least was left to attack
    parts = [(cut(parent[0], 4, rest), [cut(one[0], 4, rest) for one in group]) for parent, group in large]
    found: Record = {
        "assumed": {name.lower(): value for name, value in vars(Costs).items() if name.isupper()},
        "entries": len(tasks),
        "seconds of an entry": {
            "least": rest,
            "median": statistics.median(task["seconds"] for task in tasks),
            "most": max(task["seconds"] for task in tasks),
        },
        "speedup": [],
    }
    many_cells = len(large) * (CHILDREN + 1)
    grids = {
        f"{len(tasks)} cells": small,
        f"{many_cells} cells": large,
        f"{many_cells} cells in parts": parts,
    }
    for name, families in grids.items():
        one = makespan(families, 1)
        for many in WORKERS:
            faster = one / makespan(families, many)
            found["speedup"].append({"grid": name, "workers": many, "speedup": round(faster, 2)})
    return found


def draw(found: Record) -> str:
    """Return the chart of the simulation as SVG."""
    import altair as alt
    import pandas as pd
    import vl_convert

    table = pd.DataFrame(found["speedup"])
    ideal = pd.DataFrame({"workers": WORKERS, "speedup": WORKERS})
    axis = alt.Axis(values=list(WORKERS), format="d")
    x = alt.X("workers:Q", scale=alt.Scale(type="log", base=2), axis=axis)
    y = alt.Y("speedup:Q", scale=alt.Scale(type="log", base=2), axis=axis, title="times as fast as one worker")
    line = alt.Chart(ideal).mark_line(strokeDash=[4, 4], color="#999999").encode(x=x, y=y)
    lines = alt.Chart(table).mark_line(point=True).encode(x=x, y=y, color=alt.Color("grid:N", title=None))
    chart = (line + lines).properties(width=480, height=320, title="A simulated cluster, fed with measured times")
    svg: str = vl_convert.vegalite_to_svg(chart.to_json())
    return svg


STEPS = {
    "entries": entries,
    "grid": swept,
    "naive": naive,
    "alone": apart,
    "workers": workers,
    "simulation": simulation,
}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/bench-sweep"))
    parser.add_argument("--only", nargs="+", choices=STEPS, default=list(STEPS))
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    kept = json.loads(KEPT.read_bytes()) if KEPT.exists() else {}
    for name in asked.only:
        kept[name] = STEPS[name](asked.out)
        kept["commit"] = environment.environment().get("commit")
        KEPT.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")
        print(name, json.dumps(kept[name])[:2000], flush=True)
    if "simulation" in kept:
        CHART.write_text(draw(kept["simulation"]))


if __name__ == "__main__":
    main(sys.argv[1:])

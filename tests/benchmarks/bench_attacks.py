"""Times native AutoAttack against pyautoattack on the same points, in alternating pairs of whole processes.

    python tests/benchmarks/bench_attacks.py [--case NAME ...] [--pairs 3] [--points N]

A process imports, loads, attacks and verifies; its whole life is timed. Needs the networks and images of
BENCH_DATA_DIR (default ../shared/data). Prints one Markdown row per case, medians over the pairs.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
MATERIAL = Path(os.environ.get("BENCH_DATA_DIR") or ROOT.parent / "shared" / "data")


class Case(NamedTuple):
    """A network, a threat model and how many points."""

    network: str
    norm: str
    epsilon: str
    points: int
    macs: int
    """Multiply-accumulates of the network per image, as `bench inspect` counts them."""
    target: float
    """How many times faster native should be."""


CASES = {
    "stays": Case("cnn_a_adv4", "Linf", "8/255", 200, 926_696, 1.9),
    "falls": Case("resnet20_standard", "Linf", "8/255", 200, 40_551_040, 10.0),
    "resnet18": Case("resnet18", "Linf", "1/255", 16, 555_422_720, 2.0),
}


def work(engine: str, case: Case) -> dict[str, object]:
    """Run one engine on one case, in this process."""
    sys.path.insert(0, str(ROOT / "tests"))  # robustbench brings a package called tests, which hides ours
    import torch
    from support.cascade import harness, package
    from support.material import STANDARD, real

    from bench.evaluation.search.batch import automatic_batch
    from bench.threats import ThreatModel

    threat = ThreatModel.parse(case.norm, case.epsilon)
    problem = real(MATERIAL, case.network, case.points)
    if engine == "pyautoattack":
        return {"robust": package(problem, threat).int().tolist()}
    batch = automatic_batch(case.macs, problem.images[0].numel(), torch.device("cpu"))  # as `bench evaluate` does
    ran = harness(problem, threat, STANDARD, batch=batch)
    spent = {tally.attack: [tally.forwards, tally.backwards] for tally in ran.tallies}
    return {"robust": ran.standing.int().tolist(), "passes": spent}


def process(engine: str, name: str, points: int) -> tuple[float, dict[str, object]]:
    """Return the life time of a fresh process and what it found."""
    command = [sys.executable, "-W", "ignore", __file__, "--worker", engine, "--case", name, "--points", str(points)]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return time.perf_counter() - began, json.loads(done.stdout.splitlines()[-1])


def compare(name: str, points: int, pairs: int) -> None:
    """Run the pairs of one case and print its row."""
    case = CASES[name]
    seconds: dict[str, list[float]] = {"native": [], "pyautoattack": []}
    robust: dict[str, list[int]] = {}
    for pair in range(pairs):
        for engine in list(seconds)[:: 1 if pair % 2 == 0 else -1]:
            taken, result = process(engine, name, points)
            seconds[engine].append(taken)
            robust[engine] = list(result["robust"])  # type: ignore[call-overload]
            print(f"{name} {engine} {taken:.1f} s {result.get('passes', '')}", file=sys.stderr)
    ours, theirs = statistics.median(seconds["native"]), statistics.median(seconds["pyautoattack"])
    ratios = [reference / native for native, reference in zip(seconds["native"], seconds["pyautoattack"], strict=True)]
    apart = sum(a != b for a, b in zip(robust["native"], robust["pyautoattack"], strict=True))
    print(
        f"| {case.network} {case.norm} {case.epsilon}, {points} points | {ours:.1f} s | {theirs:.1f} s "
        f"| {statistics.median(ratios):.2f}× ({min(ratios):.2f} to {max(ratios):.2f}) | {case.target:.0f}× "
        f"| {sum(robust['native'])} / {sum(robust['pyautoattack'])}, {apart} apart |"
    )


def main() -> None:
    """Read the command line, run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=list(CASES), action="append")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--points", type=int)
    parser.add_argument("--worker", choices=["native", "pyautoattack"])
    given = parser.parse_args()
    names = given.case or list(CASES)
    if given.worker:
        case = CASES[names[0]]
        print(json.dumps(work(given.worker, case._replace(points=given.points or case.points))))
        return
    print("| case | native | pyautoattack | ratio | target | robust, ours / theirs |\n|---|---|---|---|---|---|")
    for name in names:
        compare(name, given.points or CASES[name].points, given.pairs)


if __name__ == "__main__":
    main()

"""Ask what the sparse cascade misses: is anything broken by all that was ever tried that it leaves standing?

    python tests/benchmarks/sparse_strength.py --points 64 --workers 2 --network cnn_a_adv --network cnn_a_mix --write
    python tests/benchmarks/sparse_strength.py --points 24 --network embedded:digits-tiny-linf --append

Runs the L0 cascade of cifar10-v1, or on the networks that ship with the benchmark that of digits-v1, on the correct
ones of the first points of real networks, dense and pruned, and of two that are hard for gradients; then a wider one,
with several times its passes, from the start. Their union at every number of pixels is the nearest thing to the truth.
One call takes networks of one protocol. Networks and images come from BENCH_DATA_DIR (../shared/data if it is not set).
"""

import argparse
import os
import platform
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))  # robustbench brings a package called tests, which hides ours
from support import peers  # noqa: E402

from bench.attacks.attack import ATTACKS, Settings  # noqa: E402
from bench.evaluation.judge.pool import Pool  # noqa: E402
from bench.evaluation.search.cascade import Cascade, Target  # noqa: E402
from bench.protocol.load import Protocol  # noqa: E402
from bench.protocol.load import load as load_protocol  # noqa: E402
from bench.threats import Norm  # noqa: E402

OUT = Path(__file__).with_name("SPARSE.md")
MATERIAL = Path(os.environ.get("BENCH_DATA_DIR") or ROOT.parent / "shared" / "data")
BATCH = 100
_GRID = (1, 2, 5, 10, 20)
_WIDE: dict[str, Settings] = {
    "sigma-zero": {"steps": 2000, "grid": _GRID, "eliminate": 1},
    "sparse-pgd-u": {"iterations": 2000, "grid": _GRID[1:]},
    "sparse-pgd-p": {"iterations": 1000, "grid": _GRID[1:]},
    "corners": {"queries": 16384},
    "sparse-rs": {"queries": 5000, "grid": _GRID[1:], "alpha_init": 0.3},
    "sparse-rs-ce": {"queries": 5000, "grid": (5, 20), "alpha_init": 0.8},
}
"""Every attack on pixels but the corner beams, at budgets that take the cascade's passes several times over."""
_SMALL_GRID = (1, 2, 3, 4, 6)
_SMALL_WIDE: dict[str, Settings] = {
    "corner-search": {"pixels": 6, "first": 64, "others": 64, "beams": 64, "branch": 32},
    "corner-beam": {"pixels": 6, "first": 128, "beams": 64, "branch": 32},
    "sigma-zero": {"steps": 2000, "grid": _SMALL_GRID, "eliminate": 1},
    "sparse-pgd-u": {"iterations": 1000, "grid": _SMALL_GRID[1:]},
    "sparse-rs-ce": {"queries": 5000, "grid": _SMALL_GRID[1:], "alpha_init": 0.8},
}
"""For images of 64 pixels, whose rules enumerate one and two pixels: beams, which they lack, and longer searches."""


class Scale(NamedTuple):
    """What is run on networks of one kind, and the numbers of pixels at which it is read."""

    rules: Protocol
    grid: tuple[int, ...]
    wide: Mapping[str, Settings]


def scale(network: str) -> Scale:
    """Return what is run on a network; those of MNIST are measured as those of CIFAR-10."""
    if network in peers.EMBEDDED:
        return Scale(load_protocol("digits-v1"), _SMALL_GRID, _SMALL_WIDE)
    return Scale(load_protocol("cifar10-v1"), _GRID, _WIDE)


class Run(NamedTuple):
    """What one cascade did.

    Attributes:
        passes: of each attack, forward and backward.
        broken: of each attack, how many points fewer stand after it, for each number of pixels.
        distance: pixels that break each point.
    """

    passes: dict[str, tuple[int, int]]
    broken: dict[str, list[int]]
    distance: torch.Tensor
    seconds: float


class Row(NamedTuple):
    """One network under both cascades."""

    network: str
    rules: Run
    wide: Run


def cascade(target: Target, at: Scale, attacks: Mapping[str, Settings]) -> Run:
    """Run attacks in order on the points that stand."""
    start, threat = time.monotonic(), at.rules.threat(Norm.L0).model
    pool = Pool(target.images, torch.ones_like(target.labels, dtype=torch.bool), [threat])
    driver = Cascade(target, pool, at.rules.seed, BATCH)
    passes, broken = {}, {}
    before = pool.counts(Norm.L0, at.grid)
    for name, settings in attacks.items():
        tally = driver.run(ATTACKS[name], threat, settings)
        after = pool.counts(Norm.L0, at.grid)
        passes[name] = tally.forwards, tally.backwards
        broken[name] = [old - new for old, new in zip(before, after, strict=True)]
        before = after
    return Run(passes, broken, pool.distance[Norm.L0], time.monotonic() - start)


def measure(network: str, points: int) -> Row:
    """Run both cascades on one network."""
    torch.set_num_threads(1)
    target = peers.peer(MATERIAL, network, points).target()
    at = scale(network)
    ours = {name: at.rules.attacks[name] for name in at.rules.threat(Norm.L0).attacks}
    row = Row(network, cascade(target, at, ours), cascade(target, at, at.wide))
    print(f"{network}: {row.rules.seconds:.0f} s and {row.wide.seconds:.0f} s", file=sys.stderr, flush=True)
    return row


def _standing(distance: torch.Tensor, grid: tuple[int, ...]) -> str:
    return " / ".join(str(int((distance > size).sum())) for size in grid)


def _total(run: Run) -> str:
    forwards, backwards = (sum(column) for column in zip(*run.passes.values(), strict=True))
    return f"{forwards / 1000:,.0f} / {backwards / 1000:,.0f}"


def page(rows: Sequence[Row], points: int, at: Scale) -> str:
    """Return the tables as Markdown."""
    sizes = " / ".join(map(str, at.grid))
    lines = [
        f"# What the sparse cascade of {at.rules.name} misses",
        "",
        f"`python tests/benchmarks/{Path(__file__).name} --points {points} --write`",
        "",
        f"The L0 cascade of {at.rules.name} (*rules*) on the correct ones of the first {points} points of each",
        "network, and a wider one of the other attacks on pixels, each from the start. Points standing beyond",
        f"{sizes} pixels, and passes in thousands, forward / backward. The union of both is the nearest thing to",
        "the truth; *missed* is what it breaks and the rules leave.",
        "",
        "| network | points | rules | wide | union | missed | rules: passes | wide: passes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    missed, counted = [0] * len(at.grid), 0
    for row in rows:
        union = torch.minimum(row.rules.distance, row.wide.distance)
        gap = [int((row.rules.distance > size).sum() - (union > size).sum()) for size in at.grid]
        missed = [old + new for old, new in zip(missed, gap, strict=True)]
        counted += len(union)
        found = [_standing(distance, at.grid) for distance in (row.rules.distance, row.wide.distance, union)]
        cells = [row.network, str(len(union)), *found, " / ".join(map(str, gap)), _total(row.rules), _total(row.wide)]
        lines.append(f"| {' | '.join(cells)} |")
    share = " / ".join(f"{100 * count / counted:.2f}" for count in missed)
    lines += ["", f"Missed of all {counted} points, in percent: {share}.", ""]
    for title, runs in (("rules", [row.rules for row in rows]), ("wide", [row.wide for row in rows])):
        lines += [
            f"## Each attack of the cascade *{title}*, all networks together",
            "",
            f"Points broken after the attacks before it, at {sizes} pixels.",
            "",
            "| attack | settings | broken | forward passes | backward passes |",
            "|---|---|---|---|---|",
        ]
        broken: dict[str, list[int]] = defaultdict(lambda: [0] * len(at.grid))
        spent: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for run in runs:
            for name in run.passes:
                broken[name] = [old + new for old, new in zip(broken[name], run.broken[name], strict=True)]
                spent[name] = [old + new for old, new in zip(spent[name], run.passes[name], strict=True)]
        for name, found in broken.items():
            settings = at.rules.attacks[name] if title == "rules" else at.wide[name]
            spelled = ", ".join(f"{key} {value}" for key, value in settings.items())
            forwards, backwards = spent[name]
            lines.append(f"| {name} | {spelled} | {' / '.join(map(str, found))} | {forwards:,} | {backwards:,} |")
        lines.append("")
    version = torch.__version__.partition("+")[0]
    return "\n".join([*lines, f"torch {version}, {platform.machine()}, no accelerator, one thread a network.", ""])


def main() -> None:
    """Read the command line, run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", action="append", choices=peers.NETWORKS)
    parser.add_argument("--points", type=int, default=64)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--write", action="store_true", help=f"write the tables to {OUT.name}")
    parser.add_argument("--append", action="store_true", help="write them below what is there")
    given = parser.parse_args()
    networks = given.network or [name for name in peers.NETWORKS if name not in peers.EMBEDDED]
    at = scale(networks[0])
    if any(scale(network) != at for network in networks):
        parser.error("networks of two protocols; make a call for each.")
    with ProcessPoolExecutor(given.workers) as workers:
        jobs = [workers.submit(measure, network, given.points) for network in networks]
        text = page([job.result() for job in jobs], given.points, at)
    if given.append:
        before = OUT.read_text("utf-8") + "\n" if OUT.exists() else ""
        OUT.write_text(before + text, encoding="utf-8")
    elif given.write:
        OUT.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()

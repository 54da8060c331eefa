"""Ask what the sparse cascade misses: is anything broken by all that was ever tried that it leaves standing?

    python tests/benchmarks/sparse_strength.py --points 64 --workers 2 --write

Runs the L0 cascade of cifar10-v1 on the correct ones of the first points of real networks, dense and pruned, and of
two that are hard for gradients; then a wider one, with several times its passes, from the start. Their union at every
number of pixels is the nearest thing to the truth. Networks and images come from BENCH_DATA_DIR (../shared/data if it
is not set).
"""

import argparse
import gzip
import os
import platform
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))  # robustbench brings a package called tests, which hides ours
from support import hard, material  # noqa: E402

from bench.attacks.attack import ATTACKS, Settings  # noqa: E402
from bench.evaluation.judge.pool import Pool  # noqa: E402
from bench.evaluation.search.cascade import Cascade, Target  # noqa: E402
from bench.models.source import ModelRef, load  # noqa: E402
from bench.protocol.load import load as load_protocol  # noqa: E402
from bench.pruning.prune import prune  # noqa: E402
from bench.pruning.recipe import Context  # noqa: E402
from bench.threats import Norm  # noqa: E402

OUT = Path(__file__).with_name("SPARSE.md")
MATERIAL = Path(os.environ.get("BENCH_DATA_DIR") or ROOT.parent / "shared" / "data")
GRID = (1, 2, 5, 10, 20)
RULES = load_protocol("cifar10-v1")
BATCH = 100
WIDE: dict[str, Settings] = {
    "sigma-zero": {"steps": 2000, "grid": GRID, "eliminate": 1},
    "sparse-pgd-u": {"iterations": 2000, "grid": GRID[1:]},
    "sparse-pgd-p": {"iterations": 1000, "grid": GRID[1:]},
    "corners": {"queries": 16384},
    "sparse-rs": {"queries": 5000, "grid": GRID[1:], "alpha_init": 0.3},
    "sparse-rs-ce": {"queries": 5000, "grid": (5, 20), "alpha_init": 0.8},
}
"""Every attack on pixels but the corner beams, at budgets that take the cascade's passes several times over."""

MNIST = {
    "mnist_cnn_a_adv": "mnist-cnn-a",
    "mnist_kw_0.1": "mnist-cnn-a",
    "mnist_madrycnn_nomaxpool_tiny": "mnist-madry-tiny",
    "mnist_smallcnn_standard": "mnist-smallcnn",
}
PRUNED = ("cnn_a_adv", "kw_oval_base", "resnet2b_adv", "mmr_universal")
NETWORKS = (
    *material.FILES,
    *(f"{name} at {share}" for name in PRUNED for share in ("1/2", "9/10")),
    *MNIST,
    "cnn_a_adv4 quantised",
    "cnn_a_adv4 shattered",
)


class Run(NamedTuple):
    """What one cascade did.

    Attributes:
        passes: of each attack, forward and backward.
        broken: of each attack, how many points fewer stand after it, for each number of pixels of GRID.
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


def _mnist(points: int) -> tuple[torch.Tensor, torch.Tensor]:
    raw = MATERIAL / "MNIST" / "raw"
    with gzip.open(raw / "t10k-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)[:points]
    with gzip.open(raw / "t10k-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)[:points]
    return torch.from_numpy(images.copy()).float().div(255), torch.from_numpy(labels.astype(np.int64))


def problem(spec: str, points: int) -> Target:
    """Return a network with those of the first points that it gets right."""
    name, _, rest = spec.partition(" ")
    if name in MNIST:
        path = MATERIAL / "weights" / f"{name}.safetensors"
        model = load(ModelRef.parse(str(path), architecture=MNIST[name])).classifier
        images, labels = _mnist(points)
    else:
        model, images, labels = material.real(MATERIAL, name, points)
    if rest.startswith("at "):
        context = Context(example=images[:1])
        model = prune(model, "magnitude-global", Fraction(rest.removeprefix("at ")), context).network
    elif rest:
        model = hard.quantised(model) if rest == "quantised" else hard.Shattered(model)
    model = model.eval().requires_grad_(requires_grad=False)
    with torch.no_grad():
        logits = torch.cat([model(part) for part in images.split(250)])
    ids = (logits.argmax(dim=1) == labels).nonzero().flatten()
    return Target(model, images[ids], labels[ids], ids, logits[ids])


def cascade(target: Target, attacks: Mapping[str, Settings]) -> Run:
    """Run attacks in order on the points that stand."""
    start = time.monotonic()
    pool = Pool(target.images, torch.ones_like(target.labels, dtype=torch.bool), [RULES.threat(Norm.L0).model])
    driver = Cascade(target, pool, RULES.seed, BATCH)
    passes, broken = {}, {}
    before = pool.counts(Norm.L0, GRID)
    for name, settings in attacks.items():
        tally = driver.run(ATTACKS[name], RULES.threat(Norm.L0).model, settings)
        after = pool.counts(Norm.L0, GRID)
        passes[name] = tally.forwards, tally.backwards
        broken[name] = [old - new for old, new in zip(before, after, strict=True)]
        before = after
    return Run(passes, broken, pool.distance[Norm.L0], time.monotonic() - start)


def measure(network: str, points: int) -> Row:
    """Run both cascades on one network."""
    torch.set_num_threads(1)
    target = problem(network, points)
    names = RULES.threat(Norm.L0).attacks
    row = Row(network, cascade(target, {name: RULES.attacks[name] for name in names}), cascade(target, WIDE))
    print(f"{network}: {row.rules.seconds:.0f} s and {row.wide.seconds:.0f} s", file=sys.stderr, flush=True)
    return row


def _standing(distance: torch.Tensor) -> str:
    return " / ".join(str(int((distance > size).sum())) for size in GRID)


def _total(run: Run) -> str:
    forwards, backwards = (sum(column) for column in zip(*run.passes.values(), strict=True))
    return f"{forwards / 1000:,.0f} / {backwards / 1000:,.0f}"


def page(rows: Sequence[Row], points: int) -> str:
    """Return the tables as Markdown."""
    sizes = " / ".join(map(str, GRID))
    lines = [
        "# What the sparse cascade misses",
        "",
        f"`python tests/benchmarks/{Path(__file__).name} --points {points} --write`",
        "",
        f"The L0 cascade of cifar10-v1 (*rules*) on the correct ones of the first {points} points of each network,",
        "and a wider one of the other attacks on pixels, each from the start. Points standing beyond",
        f"{sizes} pixels, and passes in thousands, forward / backward. The union of both is the nearest thing to",
        "the truth; *missed* is what it breaks and the rules leave.",
        "",
        "| network | points | rules | wide | union | missed | rules: passes | wide: passes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    missed, counted = [0] * len(GRID), 0
    for row in rows:
        union = torch.minimum(row.rules.distance, row.wide.distance)
        gap = [int((row.rules.distance > size).sum() - (union > size).sum()) for size in GRID]
        missed = [old + new for old, new in zip(missed, gap, strict=True)]
        counted += len(union)
        lines.append(
            f"| {row.network} | {len(union)} | {_standing(row.rules.distance)} | {_standing(row.wide.distance)} "
            f"| {_standing(union)} | {' / '.join(map(str, gap))} | {_total(row.rules)} | {_total(row.wide)} |"
        )
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
        broken: dict[str, list[int]] = defaultdict(lambda: [0] * len(GRID))
        spent: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for run in runs:
            for name in run.passes:
                broken[name] = [old + new for old, new in zip(broken[name], run.broken[name], strict=True)]
                spent[name] = [old + new for old, new in zip(spent[name], run.passes[name], strict=True)]
        for name, found in broken.items():
            settings = RULES.attacks[name] if title == "rules" else WIDE[name]
            spelled = ", ".join(f"{key} {value}" for key, value in settings.items())
            forwards, backwards = spent[name]
            lines.append(f"| {name} | {spelled} | {' / '.join(map(str, found))} | {forwards:,} | {backwards:,} |")
        lines.append("")
    version = torch.__version__.partition("+")[0]
    return "\n".join([*lines, f"torch {version}, {platform.machine()}, no accelerator, one thread a network.", ""])


def main() -> None:
    """Read the command line, run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", action="append", choices=NETWORKS)
    parser.add_argument("--points", type=int, default=64)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--write", action="store_true", help=f"write the tables to {OUT.name}")
    given = parser.parse_args()
    with ProcessPoolExecutor(given.workers) as workers:
        jobs = [workers.submit(measure, network, given.points) for network in given.network or NETWORKS]
        text = page([job.result() for job in jobs], given.points)
    if given.write:
        OUT.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()

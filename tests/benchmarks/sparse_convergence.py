"""Ask whether the sparse cascade has converged: does doubling every budget break more points?

    python tests/benchmarks/sparse_convergence.py --points 200 --workers 2 --write

Runs the L0 cascade of each protocol on the first correct points of three real networks, then the same cascade with
every budget doubled on the points that are left at the headline number of pixels. Only what bears on that number is
run: points that fall leave at once, and grids end there. Networks and images come from BENCH_DATA_DIR
(../shared/data if it is not set).
"""

import argparse
import os
import platform
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))  # robustbench brings a package called tests, which hides ours
from support import material  # noqa: E402

from bench.attacks.attack import ATTACKS, Settings  # noqa: E402
from bench.data.dataset import DATASETS  # noqa: E402
from bench.evaluation.judge.pool import Pool  # noqa: E402
from bench.evaluation.search.cascade import Cascade, Target  # noqa: E402
from bench.models.source import ModelRef, load  # noqa: E402
from bench.protocol.load import Protocol  # noqa: E402
from bench.protocol.load import load as load_protocol  # noqa: E402
from bench.threats import Norm  # noqa: E402

OUT = Path(__file__).with_name("SPARSE.md")
MATERIAL = Path(os.environ.get("BENCH_DATA_DIR") or ROOT.parent / "shared" / "data")
NETWORKS = {
    "digits-v1": ("digits-cnn-linf", "digits-mlp-linf", "digits-resnet-linf"),
    "cifar10-v1": ("cnn_a_adv", "kw_oval_base", "resnet2b_adv"),
}
BUDGETS = ("steps", "iterations", "queries")
BATCH = 100


class Row(NamedTuple):
    """What one cascade did to the points that stood before it: how many each attack broke."""

    protocol: str
    network: str
    budget: str
    before: int
    broken: list[int]
    left: int
    minutes: float


def problem(protocol: str, name: str, points: int) -> Target:
    """Return a network with the first points that it gets right."""
    if protocol == "digits-v1":
        model = load(ModelRef.parse(f"embedded:{name}")).classifier
        data = DATASETS["digits"].load("test", range(500))
        images, labels = data.images(), data.label_tensor()
    else:
        model, images, labels = material.real(MATERIAL, name, 1000)
    with torch.no_grad():
        logits = torch.cat([model(part) for part in images.split(250)])
    ids = (logits.argmax(dim=1) == labels).nonzero().flatten()[:points]
    return Target(model, images[ids], labels[ids], ids, logits[ids])


def settings_of(rules: Protocol, name: str, headline: int, *, double: bool) -> Settings:
    """Return an attack's settings with the grid cut at the headline, and every budget doubled if asked."""
    settings = dict(rules.attacks[name])
    if isinstance(grid := settings.get("grid"), tuple):
        settings["grid"] = tuple(k for k in grid if k <= headline)
    return {key: value * 2 if double and key in BUDGETS else value for key, value in settings.items()}


def measure(protocol: str, network: str, points: int) -> list[Row]:
    """Run both cascades on one network."""
    torch.set_num_threads(1)
    rules = load_protocol(protocol)
    threat = rules.threat(Norm.L0)
    headline, target, rows = int(threat.epsilon), problem(protocol, network, points), []
    for double in (False, True):
        start = time.monotonic()
        pool = Pool(target.images, torch.ones_like(target.labels, dtype=torch.bool), [threat.model])
        cascade = Cascade(target, pool, rules.seed, BATCH)
        broken, before = [], len(target.labels)
        for name in threat.attacks:
            settings = settings_of(rules, name, headline, double=double)
            stood = int(pool.standing(Norm.L0, headline).sum())
            if settings.get("grid") != ():
                cascade.run(ATTACKS[name], threat.model, settings)
            broken.append(stood - int(pool.standing(Norm.L0, headline).sum()))
            print(f"{network}{' doubled' * double} {name}: {broken[-1]} of {stood}", file=sys.stderr, flush=True)
        left = pool.standing(Norm.L0, headline)
        minutes = (time.monotonic() - start) / 60
        budget = "doubled" if double else "protocol"
        rows.append(Row(protocol, network, budget, before, broken, int(left.sum()), minutes))
        target = Target(
            target.classifier, target.images[left], target.labels[left], target.ids[left], target.logits[left]
        )
    return rows


def page(rows: list[Row], points: int) -> str:
    """Return the tables as Markdown."""
    lines = [
        "# Has the sparse cascade converged?",
        "",
        f"`python tests/benchmarks/{Path(__file__).name} --points {points} --write`",
        "",
        f"The L0 cascade of each protocol at its headline number of pixels, on the first {points} points that each",
        "network gets right. Columns: points broken by each attack in order, then points left. The second line of a",
        "network is the same cascade with every budget doubled, on the points that the first line left: what it breaks",
        "is what the protocol's budgets missed.",
    ]
    for protocol in dict.fromkeys(row.protocol for row in rows):
        rules = load_protocol(protocol)
        names = rules.threat(Norm.L0).attacks
        lines += [
            "",
            f"## {protocol}, {rules.threat(Norm.L0).epsilon} pixels",
            "",
            f"| network | budget | points | {' | '.join(names)} | left | minutes |",
            f"|---|---|---{'|---' * len(names)}|---|---|",
        ]
        lines += [
            f"| {row.network} | {row.budget} | {row.before} | {' | '.join(map(str, row.broken))} | {row.left} "
            f"| {row.minutes:.1f} |"
            for row in rows
            if row.protocol == protocol
        ]
        lines += ["", "Budgets:", ""]
        lines += [
            f"- {name}: {', '.join(f'{key} {value}' for key, value in rules.attacks[name].items())}" for name in names
        ]
    version = torch.__version__.partition("+")[0]
    return "\n".join([*lines, "", f"torch {version}, {platform.machine()}, no accelerator, one thread a network.", ""])


def main() -> None:
    """Read the command line, run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protocol", choices=list(NETWORKS), action="append")
    parser.add_argument("--network", action="append")
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--write", action="store_true", help=f"write the tables to {OUT.name}")
    given = parser.parse_args()
    cells = [
        (protocol, network)
        for protocol in given.protocol or NETWORKS
        for network in NETWORKS[protocol]
        if not given.network or network in given.network
    ]
    with ProcessPoolExecutor(given.workers) as workers:
        jobs = [workers.submit(measure, *cell, given.points) for cell in cells]
        text = page([row for job in jobs for row in job.result()], given.points)
    if given.write:
        OUT.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
